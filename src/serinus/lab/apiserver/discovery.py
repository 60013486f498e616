"""What clients ask before they ask for objects: versions, groups, resources, health."""

from typing import Any, Final

from serinus.lab.apiserver import errors
from serinus.lab.apiserver.representation import Obj
from serinus.lab.apiserver.rest.call import Api
from serinus.lab.apiserver.schema.registry import Kind

VERSION: Final[Obj] = {
    "major": "1",
    "minor": "36",
    "gitVersion": "v1.36.3+serinus-lab",
    "gitCommit": "",
    "gitTreeState": "clean",
    "buildDate": "2026-01-01T00:00:00Z",
    "goVersion": "",
    "compiler": "cpython",
    "platform": "linux/amd64",
}

_GROUP_ORDER: Final = (
    *("apiregistration.k8s.io", "apps", "events.k8s.io", "authentication.k8s.io"),
    *("authorization.k8s.io", "autoscaling", "batch", "networking.k8s.io", "policy"),
    *("rbac.authorization.k8s.io", "storage.k8s.io", "admissionregistration.k8s.io"),
    *("apiextensions.k8s.io", "scheduling.k8s.io", "coordination.k8s.io", "discovery.k8s.io"),
)
"""Kubernetes' own groups in its order: clients look a short name up in the first that has it."""


def core_versions() -> Obj:
    """``/api``"""
    return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}


def _group(name: str, versions: tuple[str, ...]) -> Obj:
    listed = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {"name": name, "versions": listed, "preferredVersion": listed[0]}


def _groups(api: Api) -> list[tuple[str, tuple[str, ...]]]:
    def order(item: tuple[str, tuple[str, ...]]) -> tuple[int, str]:
        name = item[0]
        return (_GROUP_ORDER.index(name) if name in _GROUP_ORDER else len(_GROUP_ORDER), name)

    return sorted(
        ((name, found) for name, found in api.registry.groups().items() if name), key=order
    )


def group_list(api: Api) -> Obj:
    """``/apis``"""
    groups = [_group(name, versions) for name, versions in _groups(api)]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}


def group(api: Api, name: str) -> Obj:
    """``/apis/GROUP``"""
    versions = api.registry.groups().get(name)
    if not versions or not name:
        raise errors.no_such_path()
    return {"kind": "APIGroup", "apiVersion": "v1"} | _group(name, versions)


def resource_list(api: Api, group_name: str, version: str) -> Obj:
    """``/api/v1`` and ``/apis/GROUP/VERSION``"""
    kinds = api.registry.kinds(group_name, version)
    if not kinds:
        raise errors.no_such_path()
    resources = [entry for kind in kinds for entry in _resources(kind)]
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": kinds[0].api_version,
        "resources": resources,
    }


def _resources(kind: Kind) -> list[Obj]:
    main: dict[str, Any] = {
        "name": kind.plural,
        "singularName": kind.singular,
        "namespaced": kind.namespaced,
        "kind": kind.kind,
        "verbs": list(kind.verbs),
    }
    if kind.short_names:
        main["shortNames"] = list(kind.short_names)
    if kind.categories:
        main["categories"] = list(kind.categories)
    entries = [main]
    for sub in kind.subresource_details:
        entry: dict[str, Any] = {
            "name": f"{kind.plural}/{sub.name}",
            "singularName": "",
            "namespaced": kind.namespaced,
            "kind": sub.kind,
            "verbs": list(sub.verbs),
        }
        if (sub.group, sub.version) != (kind.group, kind.version):
            entry |= {"group": sub.group, "version": sub.version}
        entries.append(entry)
    return entries


def paths(api: Api) -> Obj:
    """``/``"""
    found = ["/api", "/api/v1", "/apis"]
    for name, versions in _groups(api):
        found.append(f"/apis/{name}")
        found += [f"/apis/{name}/{version}" for version in versions]
    return {
        "paths": [*found, "/healthz", "/livez", "/openapi/v2", "/openapi/v3", "/readyz", "/version"]
    }
