"""MeshService, a Service as the mesh sees it, and its relatives from elsewhere."""

from serinus.lab.mesh.crds.definition import (
    Json,
    array,
    definition,
    free,
    integer,
    string,
    strings,
    struct,
)
from serinus.lab.mesh.versions import KumaVersion


def service_definitions(version: KumaVersion) -> list[Json]:
    """The CustomResourceDefinitions of what Kuma calls destinations, and of their host names."""
    return [
        _mesh_service(version),
        # Free: the lab has neither other zones nor services outside the mesh.
        definition(
            "MeshMultiZoneService",
            "meshmultizoneservices",
            spec=free(),
            status=free(),
            short="mzsvc",
        ),
        definition(
            "MeshExternalService",
            "meshexternalservices",
            spec=free(),
            status=free(),
            short="extsvc",
        ),
        definition("HostnameGenerator", "hostnamegenerators", spec=free(), short="hg"),
    ]


def _mesh_service(version: KumaVersion) -> Json:
    port = struct(
        ["port"],
        name=string(),
        port=integer(),
        targetPort={"x-kubernetes-int-or-string": True},
        appProtocol={"type": "string", "default": "tcp"},
    )
    selector = struct(dataplaneRef=struct(name=string()), dataplaneLabels=free())
    if version.inbound_tags:
        selector["properties"]["dataplaneTags"] = strings()
    spec = struct(
        state={**string("Available", "Unavailable"), "default": "Unavailable"},
        selector=selector,
        ports=array(port),
        identities=array(
            struct(["type", "value"], type=string("ServiceTag", "SpiffeID"), value=string())
        ),
    )
    status = struct(
        addresses=array(free()),
        vips=array(struct(ip=string())),
        tls=free(),
        hostnameGenerators=array(free()),
        dataplaneProxies=struct(connected=integer(), healthy=integer(), total=integer()),
    )
    return definition(
        "MeshService",
        "meshservices",
        spec=spec,
        status=status,
        short="msvc",
        status_subresource=True,
        columns=[{"name": "State", "type": "string", "jsonPath": ".spec.state"}],
    )
