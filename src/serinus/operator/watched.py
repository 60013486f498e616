"""Which canaries have to be looked at when some object changes."""

from collections import defaultdict
from collections.abc import Iterable

from serinus.api.canary import Canary
from serinus.cluster.kinds import HPAS
from serinus.operator.schedule import Key

Named = tuple[str, str, str]
"""Kind, namespace (empty where the kind has none) and name."""


class Watched:
    """From the objects that a canary depends on to the canary."""

    def __init__(self) -> None:
        # Nearly every object is one canary's, and all of that canary's share one set: a set of
        # its own for each would be 4 KiB more for each canary.
        self._canaries: dict[Named, frozenset[Key] | set[Key]] = {}
        self._objects: dict[Key, tuple[Named, ...]] = {}
        self._within: dict[str, set[Key]] = defaultdict(set)

    def put(self, canary: Canary) -> None:
        """Know what this canary depends on, now."""
        key = (canary.namespace, canary.name)
        objects = tuple(_objects(canary))
        if self._objects.get(key) == objects:
            return
        self.drop(key)
        self._objects[key] = objects
        self._within[canary.namespace].add(key)
        alone = frozenset((key,))
        for named in objects:
            others = self._canaries.get(named, alone)
            if isinstance(others, set):
                others.add(key)
            else:
                self._canaries[named] = alone if others == alone else {*others, key}

    def drop(self, key: Key) -> None:
        """Forget a canary."""
        self._within[key[0]].discard(key)
        for named in self._objects.pop(key, ()):
            known = self._canaries.get(named, frozenset())
            if isinstance(known, set):
                known.discard(key)
            if not known - {key}:
                self._canaries.pop(named, None)

    def within(self, namespace: str) -> Iterable[Key]:
        """The canaries of a namespace."""
        return tuple(self._within.get(namespace, ()))

    def by(self, kind: str, namespace: str, name: str) -> Iterable[Key]:
        """The canaries that depend on this object."""
        return tuple(self._canaries.get((kind, namespace, name), ()))


def _objects(canary: Canary) -> Iterable[Named]:
    namespace, apex = canary.namespace, canary.apex_name
    kind = canary.spec.target_ref.kind
    for workload in (canary.target_name, canary.primary_name):
        yield (kind, namespace, workload)
    for service in (apex, canary.primary_service, canary.canary_service):
        yield ("Service", namespace, service)
        yield ("MeshService", namespace, service)
    reference = canary.spec.autoscaler_ref
    scaler = reference.name if reference is not None else canary.target_name
    scaler_kind = reference.kind if reference is not None else HPAS.kind
    for name in (scaler, f"{scaler}-primary"):
        yield (scaler_kind, namespace, name)
    for metric in canary.spec.analysis.metrics:
        if metric.template_ref is not None:
            ref = metric.template_ref
            yield ("MetricTemplate", ref.namespace or namespace, ref.name)
    for alert in canary.spec.analysis.alerts:
        ref = alert.provider_ref
        yield ("AlertProvider", ref.namespace or namespace, ref.name)
    yield ("MeshHTTPRoute", namespace, apex)
    yield ("MeshTCPRoute", namespace, apex)
    yield ("TrafficRoute", "", apex)
    yield ("TrafficRoute", "", f"{apex}-{namespace}")
    yield ("Mesh", "", canary.mesh)
