"""Policies as Kuma orders them: whom one reaches, and which of several wins."""

from collections.abc import Iterable, Mapping

from serinus.lab.mesh.model import Obj, Proxy, in_system_namespace, mesh_of
from serinus.lab.mesh.versions import DEFAULT_MESH, KumaVersion

ROLE = "kuma.io/policy-role"
_LEVELS = {"Mesh": 0, "MeshSubset": 1, "Dataplane": 2, "MeshService": 3}
_ROLES = {"system": 0, "producer": 1, "consumer": 2, "workload-owner": 3}


class MixedRoles(ValueError):
    """A policy addresses its own namespace's services and foreign ones at once."""


def role(version: KumaVersion, policy: Obj) -> str:
    """The role that Kuma's webhook computes for a policy (from 2.9 on).

    A destination in the policy's own namespace is the policy owner's to speak about: producer,
    for all callers. Of others the policy only speaks for callers of its own namespace: consumer.
    Until 2.14 a reference by name makes a producer, from 3.0 on one by nothing but the display
    name and, at most, that namespace. MixedRoles when ``to`` has both.
    """
    if in_system_namespace(policy):
        return "system"
    namespace = policy["metadata"].get("namespace")
    targets = [to.get("targetRef") or {} for to in (policy.get("spec") or {}).get("to") or ()]
    if not targets:
        return "workload-owner"
    own = _names_own if version.targets_by_name else _labels_own
    producer = {
        target.get("kind") in ("MeshService", "MeshHTTPRoute") and own(target, namespace)
        for target in targets
    }
    if len(producer) > 1:
        raise MixedRoles
    return "producer" if producer.pop() else "consumer"


def _names_own(target: Obj, namespace: str | None) -> bool:
    return bool(target.get("name")) and target.get("namespace") in (None, "", namespace)


def _labels_own(target: Obj, namespace: str | None) -> bool:
    labels = target.get("labels") or {}
    return (
        "kuma.io/display-name" in labels
        and labels.keys() <= {"kuma.io/display-name", "k8s.kuma.io/namespace"}
        and labels.get("k8s.kuma.io/namespace", namespace) == namespace
    )


def reaching(version: KumaVersion, policies: Iterable[Obj], proxy: Proxy) -> list[Obj]:
    """Those of one kind's policies that concern ``proxy``, the weakest first.

    Order (the later overrides the earlier where their matches are equal): what the top targetRef
    narrows to, then the role, then the name, the lexicographically smaller winning.
    """
    found = [policy for policy in policies if _reaches(version, policy, proxy)]
    found.sort(key=lambda policy: policy["metadata"]["name"], reverse=True)
    found.sort(key=lambda policy: (_level(policy), _ROLES[_role_of(version, policy)]))
    return found


def _role_of(version: KumaVersion, policy: Obj) -> str:
    said = (policy["metadata"].get("labels") or {}).get(ROLE)
    return said if said in _ROLES else role(version, policy)


def _level(policy: Obj) -> int:
    return _LEVELS.get((policy["spec"].get("targetRef") or {}).get("kind", "Mesh"), 0)


def _reaches(version: KumaVersion, policy: Obj, proxy: Proxy) -> bool:
    if (mesh_of(version, policy) or DEFAULT_MESH) != proxy.mesh:
        return False
    namespace = policy["metadata"].get("namespace")
    if _role_of(version, policy) in ("consumer", "workload-owner") and namespace != proxy.namespace:
        return False
    target = policy["spec"].get("targetRef") or {"kind": "Mesh"}
    match target.get("kind"):
        case "Mesh":
            return True
        case "Dataplane":
            named = target.get("name")
            return _within(target.get("labels"), proxy.labels) and named in (None, "", proxy.name)
        case "MeshSubset":
            return any(_within(target.get("tags"), inbound.tags) for inbound in proxy.inbounds)
        case "MeshService":
            return any(inbound.service == target.get("name") for inbound in proxy.inbounds)
    return False


def _within(wanted: Mapping[str, str] | None, have: Mapping[str, str]) -> bool:
    return (wanted or {}).items() <= have.items()
