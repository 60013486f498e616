"""Role-based access control: who may do what.

The roles and bindings are read into tables when one of them has changed since, not at each
request. Aggregated ClusterRoles get the rules of the roles that they select, at any depth.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from serinus.lab.apiserver import errors, selectors
from serinus.lab.apiserver.access.tokens import MASTERS, User
from serinus.lab.apiserver.errors import ApiError
from serinus.lab.apiserver.requests import RequestInfo
from serinus.lab.apiserver.store import Store

RBAC: Final = "rbac.authorization.k8s.io"
_ROLES, _CLUSTER_ROLES = (RBAC, "roles"), (RBAC, "clusterroles")
_BINDINGS, _CLUSTER_BINDINGS = (RBAC, "rolebindings"), (RBAC, "clusterrolebindings")

Rule = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Attributes:
    """What someone wants to do: to a resource, or to a ``path`` that is none."""

    verb: str
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""

    @classmethod
    def of(cls, info: RequestInfo) -> "Attributes":
        if not info.is_resource:
            return cls(info.verb, path=info.path)
        return cls(
            *(info.verb, info.group, info.resource, info.subresource, info.namespace, info.name)
        )

    @property
    def full_resource(self) -> str:
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource


def _has(values: Iterable[str] | None, wanted: str) -> bool:
    listed = values or ()
    return wanted in listed or "*" in listed


def allows(rule: Rule, wanted: Attributes) -> bool:
    """Whether one rule covers what is wanted."""
    if not _has(rule.get("verbs"), wanted.verb):
        return False
    if not wanted.resource:
        return any(
            url == wanted.path
            or (url.endswith("*") and wanted.path.startswith(url.removesuffix("*")))
            for url in rule.get("nonResourceURLs") or ()
        )
    resources = rule.get("resources") or ()
    covered = _has(resources, wanted.full_resource) or (
        bool(wanted.subresource) and f"*/{wanted.subresource}" in resources
    )
    names = rule.get("resourceNames")
    return (
        _has(rule.get("apiGroups"), wanted.group)
        and covered
        and (not names or wanted.name in names)
    )


@dataclass(frozen=True, slots=True)
class _Grant:
    """Rules that a binding gives; ``namespace`` empty means everywhere."""

    namespace: str
    rules: tuple[Rule, ...]
    source: str


Subject = tuple[str, str]
"""("user" | "group", name)."""


class Authorizer:
    """Answers from the store's roles and bindings."""

    def __init__(self, store: Store) -> None:
        self._collections = [
            store.collection(name)
            for name in (_ROLES, _CLUSTER_ROLES, _BINDINGS, _CLUSTER_BINDINGS)
        ]
        self._versions: tuple[int, ...] = ()
        self._grants: dict[Subject, list[_Grant]] = {}

    def _refresh(self) -> None:
        versions = tuple(collection.version for collection in self._collections)
        if versions == self._versions and self._grants:
            return
        roles, cluster_roles, bindings, cluster_bindings = (
            [entry.decode() for entry in found.objects.values()] for found in self._collections
        )
        rules = {("", name): found for name, found in _aggregated(cluster_roles).items()}
        for role in roles:
            metadata = role["metadata"]
            rules[metadata["namespace"], metadata["name"]] = tuple(role.get("rules") or ())
        grants: dict[Subject, list[_Grant]] = {}
        for binding in (*bindings, *cluster_bindings):
            metadata, ref = binding["metadata"], binding["roleRef"]
            namespace = metadata.get("namespace", "")
            role_namespace = namespace if ref["kind"] == "Role" else ""
            source = (
                f'{"RoleBinding" if namespace else "ClusterRoleBinding"} "{metadata["name"]}'
                f'{"/" + namespace if namespace else ""}" of {ref["kind"]} "{ref["name"]}"'
            )
            grant = _Grant(namespace, rules.get((role_namespace, ref["name"]), ()), source)
            for subject in binding.get("subjects") or ():
                grants.setdefault(_subject(subject, namespace), []).append(grant)
        self._grants, self._versions = grants, versions

    def _of(self, user: User, namespace: str) -> Iterator[_Grant]:
        self._refresh()
        subjects: list[Subject] = [("user", user.name), *(("group", name) for name in user.groups)]
        for subject in subjects:
            for grant in self._grants.get(subject, ()):
                if not grant.namespace or grant.namespace == namespace:
                    yield grant

    def why(self, user: User, wanted: Attributes) -> str | None:
        """What allows it, in words; None if nothing does."""
        if MASTERS in user.groups:
            return "group system:masters"
        for grant in self._of(user, wanted.namespace):
            if any(allows(rule, wanted) for rule in grant.rules):
                return f"RBAC: allowed by {grant.source}"
        return None

    def check(self, user: User, wanted: Attributes) -> None:
        """403 in Kubernetes' words unless it is allowed."""
        if self.why(user, wanted) is None:
            raise denied(user, wanted)

    def rules(self, user: User, namespace: str) -> list[Rule]:
        """Every rule that holds for the user in the namespace."""
        if MASTERS in user.groups:
            return [
                {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]},
                {"verbs": ["*"], "nonResourceURLs": ["*"]},
            ]
        return [rule for grant in self._of(user, namespace) for rule in grant.rules]


def denied(user: User, wanted: Attributes) -> ApiError:
    if not wanted.resource:
        return errors.forbidden(
            "", "", "", f'User "{user.name}" cannot {wanted.verb} path "{wanted.path}"'
        )
    where = (
        f' in the namespace "{wanted.namespace}"' if wanted.namespace else " at the cluster scope"
    )
    return errors.forbidden(
        wanted.group,
        wanted.resource,
        wanted.name,
        f'User "{user.name}" cannot {wanted.verb} resource "{wanted.full_resource}" '
        f'in API group "{wanted.group}"{where}',
    )


def _subject(subject: Mapping[str, str], namespace: str) -> Subject:
    match subject["kind"]:
        case "ServiceAccount":
            space = subject.get("namespace") or namespace
            return "user", f"system:serviceaccount:{space}:{subject['name']}"
        case "Group":
            return "group", subject["name"]
    return "user", subject["name"]


def _aggregated(roles: list[dict[str, Any]]) -> dict[str, tuple[Rule, ...]]:
    """The rules of each ClusterRole by name, selected ones included."""
    selected: dict[str, list[str]] = {}
    for role in roles:
        tests = [
            selectors.from_object(selector)
            for selector in (role.get("aggregationRule") or {}).get("clusterRoleSelectors") or ()
        ]
        name = role["metadata"]["name"]
        selected[name] = [
            other["metadata"]["name"]
            for other in roles
            if other is not role
            and any(test(other["metadata"].get("labels") or {}) for test in tests)
        ]
    own = {role["metadata"]["name"]: tuple(role.get("rules") or ()) for role in roles}

    def collect(name: str, seen: set[str]) -> Iterator[Rule]:
        if name not in seen:
            seen.add(name)
            yield from own[name]
            for other in selected[name]:
                yield from collect(other, seen)

    return {name: tuple(collect(name, set())) for name in own}
