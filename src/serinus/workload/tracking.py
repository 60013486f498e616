"""Which ConfigMaps and Secrets belong to a revision, and whether a primary has them.

All of it is read from the caches. Where these are not kept (``-enable-config-tracking=false``)
nothing is tracked, and the primary shares the target's ConfigMaps and Secrets.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from serinus.api.canary import Canary
from serinus.api.problem import Problem
from serinus.workload.caches import WorkloadCaches
from serinus.workload.config_view import ConfigView
from serinus.workload.configs import ConfigName, config_key
from serinus.workload.kinds import find_target
from serinus.workload.labels import PRIMARY_SUFFIX
from serinus.workload.views import PodsView


@dataclass(frozen=True, slots=True)
class Renames:
    """Which references of a target may differ in its primary: those of ``allowed`` may be to the
    copy, those of ``required`` must not be to the target's own object."""

    allowed: frozenset[ConfigName] = frozenset()
    required: frozenset[ConfigName] = frozenset()


def tracked(canary: Canary, target: PodsView, caches: WorkloadCaches) -> Mapping[str, str]:
    """The checksum of each tracked ConfigMap and Secret that the target uses, by
    ``configmap/NAME`` or ``secret/NAME``. One that is missing is not in it."""
    return {
        config_key(*named): view.checksum
        for named in sorted(target.config_names)
        if (view := _tracked(canary, caches, named)) is not None
    }


def renames(canary: Canary, target: PodsView, caches: WorkloadCaches) -> Renames:
    """How the references of a primary that runs this target have to be.

    A tracked object has to have a copy of the same content. A status that knows nothing of
    tracking tells of a primary made without it, which shares the target's objects; one that
    knows an object that is tracked no longer tells of a primary that still has a copy.
    """
    before = canary.status.tracked_configs
    allowed, required = set(), set()
    for named in target.config_names:
        source = _tracked(canary, caches, named)
        if source is None:
            if before is not None and config_key(*named) in before:
                allowed.add(named)
            continue
        kind, name = named
        copy = _view(canary, caches, (kind, name + PRIMARY_SUFFIX))
        if copy is not None and copy.checksum == source.checksum:
            allowed.add(named)
        if before is not None:
            required.add(named)
    return Renames(frozenset(allowed), frozenset(required))


def config_problems(
    canary: Canary, target: PodsView, caches: WorkloadCaches
) -> tuple[Problem, ...]:
    """The ConfigMaps and Secrets that the target's pods cannot start without and that are not
    there."""
    if caches.configs is None:
        return ()
    return tuple(
        Problem("spec.targetRef", missing(canary, use.kind, use.name, use.path))
        for use in target.config_uses
        if not use.optional and _view(canary, caches, (use.kind, use.name)) is None
    )


def depends_on(canary: Canary, caches: WorkloadCaches, kind: str, name: str) -> bool:
    """Whether this ConfigMap or Secret of the canary's namespace is one that its target refers
    to, or the primary's copy of one."""
    target = find_target(canary, caches)
    if target is None:
        return False
    used = target.config_names
    return (kind, name) in used or (kind, name.removesuffix(PRIMARY_SUFFIX)) in used


def missing(canary: Canary, kind: str, name: str, path: str) -> str:
    """For a person: what the target refers to at ``path`` of its pods' spec is not there."""
    return (
        f"{kind.lower()} {name}.{canary.namespace} does not exist, which "
        f"{canary.spec.target_ref.kind.lower()} {canary.target_name} refers to at "
        f"spec.template.spec.{path}; create it, or mark the reference as optional"
    )


def _tracked(canary: Canary, caches: WorkloadCaches, named: ConfigName) -> ConfigView | None:
    view = _view(canary, caches, named)
    return view if view is not None and view.tracked else None


def _view(canary: Canary, caches: WorkloadCaches, named: ConfigName) -> ConfigView | None:
    if caches.configs is None:
        return None
    kind, name = named
    return caches.configs.kind(kind).get(canary.namespace, name)
