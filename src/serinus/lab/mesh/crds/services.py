"""MeshService: a Service as the mesh sees it."""

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


def mesh_service() -> Json:
    """The CustomResourceDefinition of MeshService."""
    port = struct(
        ["port"],
        name=string(),
        port=integer(),
        targetPort={"x-kubernetes-int-or-string": True},
        appProtocol={"type": "string", "default": "tcp"},
    )
    spec = struct(
        state={**string("Available", "Unavailable"), "default": "Unavailable"},
        selector=struct(
            dataplaneTags=strings(),
            dataplaneRef=struct(name=string()),
            dataplaneLabels=free(),
        ),
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
