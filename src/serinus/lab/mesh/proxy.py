"""Everything that one sidecar is told."""

from dataclasses import dataclass

from serinus.lab.mesh import envoy, proxypatch, transparent
from serinus.lab.mesh.envoy import Json
from serinus.lab.mesh.inbound import inbound, no_destination
from serinus.lab.mesh.model import Proxy, World
from serinus.lab.mesh.outbound import outbound
from serinus.lab.mesh.policies import reaching


@dataclass(frozen=True, slots=True)
class Resources:
    """The resources of one Envoy, by name, as Kuma would send them."""

    listeners: dict[str, Json]
    clusters: dict[str, Json]
    assignments: dict[str, Json]


def resources(world: World, proxy: Proxy) -> Resources:
    """The configuration of ``proxy`` in ``world``; CannotBuild where Kuma's control plane fails
    to make one."""
    version = world.version
    in_listeners, in_clusters = inbound(version, proxy)
    out_listeners, backends = outbound(world, proxy)
    for policy in reaching(version, world.proxy_patches, proxy):
        proxypatch.apply(policy, "inbound", in_listeners)
        proxypatch.apply(policy, "outbound", out_listeners)
    listeners = [
        *transparent.listeners(version),
        *transparent.metrics_listeners(version, proxy),
        *in_listeners,
        *out_listeners,
    ]
    clusters = [
        *transparent.clusters(version),
        *([no_destination(version)] if version.strict_inbound else []),
        *in_clusters,
        *(envoy.eds_cluster(version, backend) for backend in backends),
    ]
    return Resources(
        listeners={listener["name"]: listener for listener in listeners},
        clusters={cluster["name"]: cluster for cluster in clusters},
        assignments={b.name: envoy.load_assignment(version, b) for b in backends},
    )
