"""MeshTCPRoute: the weights of connections.

It rules destinations that are not HTTP; an HTTP one only as long as no MeshHTTPRoute says anything
about it, and then makes connections of its requests. There is one rule and no match, so of several
policies the strongest has the word. Backends may speak whatever they speak. One that resolves to
nothing, or has weight 0, is left out: until 2.14 connections go to the destination itself when
none resolves, and there is no listener when all weights are 0; in 3.0 (not observed; it fails
closed elsewhere) connections are closed then.
"""

from collections.abc import Sequence

from serinus.lab.mesh import envoy
from serinus.lab.mesh.destinations import Destination
from serinus.lab.mesh.endpoints import Backend
from serinus.lab.mesh.envoy import Json
from serinus.lab.mesh.model import Obj, World
from serinus.lab.mesh.references import resolve, targets


def backend_refs(
    world: World, destination: Destination, policies: Sequence[Obj]
) -> tuple[Obj, Sequence[Obj]] | None:
    """The policy that has the word about ``destination``, and its backendRefs; None if nobody
    says anything."""
    said: tuple[Obj, Sequence[Obj]] | None = None
    for policy in policies:
        for to in policy["spec"].get("to") or ():
            if targets(world, to.get("targetRef") or {}, policy, destination):
                for rule in to.get("rules") or ():
                    said = policy, rule["default"].get("backendRefs") or ()
    return said


def filters(
    world: World, destination: Destination, said: tuple[Obj, Sequence[Obj]] | None
) -> tuple[list[Json] | None, list[Backend]] | None:
    """The filter chain of a TCP outbound and the clusters that it names: no chain where connections
    are closed, None where there is no listener."""
    own = destination.own
    if said is None or not said[1]:
        shares = [(own, 1)]
    else:
        policy, refs = said
        weighted = [(ref, ref.get("weight", 1)) for ref in refs]
        found = [
            (resolve(world, destination.service.mesh, policy, ref), weight)
            for ref, weight in weighted
            if weight
        ]
        shares = [(backend, weight) for backend, weight in found if backend is not None]
        if not shares:
            if world.version.fails_closed:
                return None, []
            if not found:
                return None
            shares = [(own, 1)]
    clusters = [(backend.name, weight) for backend, weight in shares]
    return [envoy.tcp_proxy(own.name, clusters)], [backend for backend, _ in shares]
