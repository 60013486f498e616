"""What is seen of a Kuma, on the lab's API server with each version's kinds."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from cluster.lab_api import LabApi, lab_api
from cluster.scripted_api import scripted_api
from serinus.cluster.client import PatchKind
from serinus.cluster.errors import ApiError, NotFound
from serinus.cluster.kinds import CRDS, DEPLOYMENTS
from serinus.lab.mesh.crds import definitions
from serinus.lab.mesh.versions import V1_8, V2_7, V2_14, V3_0, KumaVersion
from serinus.routing.kuma.dialect import (
    MESH_HTTP_ROUTES,
    MESH_MULTI_ZONE_SERVICES,
    MESH_PROXY_PATCHES,
    MESH_SERVICES,
    MESHES,
    TRAFFIC_ROUTES,
)
from serinus.routing.kuma.discovery import KumaKinds, discover


async def install(api: LabApi, version: KumaVersion) -> None:
    """As an upgrade does it, which also takes away what the version has not."""
    await put(api, {each["metadata"]["name"]: each for each in definitions(version)})


async def install_2_2(api: LabApi) -> None:
    """Of which the lab has no more than what its MeshHTTPRoutes call a path's prefix."""
    wanted = {each["metadata"]["name"]: each for each in definitions(V2_7)}
    routes = json.dumps(wanted[MESH_HTTP_ROUTES]).replace('"PathPrefix"', '"Prefix"')
    await put(api, wanted | {MESH_HTTP_ROUTES: json.loads(routes)})


async def put(api: LabApi, wanted: Mapping[str, dict[str, Any]]) -> None:
    for body in wanted.values():
        name = body["metadata"]["name"]
        await api.client.patch(CRDS, None, name, body, PatchKind.APPLY, force=True)
    for name in {TRAFFIC_ROUTES, MESH_HTTP_ROUTES, MESH_SERVICES} - set(wanted):
        try:
            await api.client.delete(CRDS, None, name)
        except ApiError as error:
            assert error.status == 404


def deployment(namespace: str, app: str) -> dict[str, Any]:
    labels = {"app": app}
    container = {"name": "app", "image": "play:v1"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    return {
        "metadata": {"name": app, "namespace": namespace, "labels": labels},
        "spec": {"replicas": 0, "selector": {"matchLabels": labels}, "template": template},
    }


async def test_each_version_is_told_from_the_others(tmp_path: Path) -> None:
    async with lab_api(tmp_path) as api:
        assert await discover(api.client) == KumaKinds(frozenset(), refs_by_name=False)

        await install(api, V1_8)
        kinds = await discover(api.client)
        assert {MESHES, TRAFFIC_ROUTES} <= kinds.crds
        assert MESH_HTTP_ROUTES not in kinds.crds
        assert not kinds.needs_system_namespace and not kinds.no_path_prefix

        await install_2_2(api)
        kinds = await discover(api.client)
        assert {TRAFFIC_ROUTES, MESH_HTTP_ROUTES} <= kinds.crds
        assert kinds.refs_by_name and kinds.no_path_prefix

        await install(api, V2_7)
        kinds = await discover(api.client)
        assert {TRAFFIC_ROUTES, MESH_HTTP_ROUTES, MESH_PROXY_PATCHES} <= kinds.crds
        assert MESH_SERVICES not in kinds.crds
        assert kinds.refs_by_name and not kinds.patches_by_label and not kinds.no_path_prefix
        assert not kinds.policies_in_app_namespaces
        assert kinds.system_namespace == "kuma-system"

        await install(api, V2_14)
        kinds = await discover(api.client)
        assert {TRAFFIC_ROUTES, MESH_HTTP_ROUTES, MESH_SERVICES} <= kinds.crds
        assert MESH_MULTI_ZONE_SERVICES in kinds.crds
        assert kinds.refs_by_name and kinds.patches_by_label and not kinds.no_path_prefix
        assert kinds.policies_in_app_namespaces and not kinds.system_namespace

        await install(api, V3_0)
        kinds = await discover(api.client)
        assert {MESH_HTTP_ROUTES, MESH_SERVICES} <= kinds.crds
        assert TRAFFIC_ROUTES not in kinds.crds
        assert not kinds.refs_by_name and kinds.patches_by_label and not kinds.no_path_prefix
        assert kinds.policies_in_app_namespaces and not kinds.system_namespace


@pytest.mark.parametrize("app", ["kuma-control-plane", "kong-mesh-control-plane"])
async def test_where_kumas_control_plane_is(tmp_path: Path, app: str) -> None:
    async with lab_api(tmp_path) as api:
        await install(api, V2_7)
        # The operator's own namespace, as long as there is nothing better to go by.
        connection = api.client.connection
        api.client.connection = replace(connection, namespace="beside")
        kinds = await discover(api.client)
        assert (kinds.system_namespace, kinds.guessed) == ("beside", True)
        for namespace, name in (("another", "shop-control-plane"), ("mesh", app)):
            await api.namespace(namespace)
            await api.client.create(DEPLOYMENTS, namespace, deployment(namespace, name))
        kinds = await discover(api.client)
        assert (kinds.system_namespace, kinds.guessed) == ("mesh", False)
        kinds = await discover(api.client, system_namespace="told")
        assert (kinds.system_namespace, kinds.guessed) == ("told", False)
        # One for the canaries of a namespace is in it, and may not look at others.
        assert (await discover(api.client, namespaced=True)).system_namespace == "kuma-system"


async def test_who_may_not_read_definitions_sees_the_same(tmp_path: Path) -> None:
    async with lab_api(tmp_path) as api:
        for version in (V1_8, V2_7, V2_14, V3_0):
            await install(api, version)
            kinds = await discover(api.client, system_namespace="mesh")
            assert await discover(api.bob, system_namespace="mesh") == kinds
        await install_2_2(api)
        kinds = await discover(api.client, system_namespace="mesh")
        assert kinds.no_path_prefix
        assert await discover(api.bob, system_namespace="mesh") == kinds


async def test_a_kind_without_its_schema_is_not_guessed_about() -> None:
    """A new kind is served before its schema is published: that it has no names in its references
    would mean Kuma 3."""

    async def answer(request: web.Request) -> None:
        if "customresourcedefinitions" in request.path:
            raise web.HTTPForbidden
        if request.path.startswith("/openapi/"):
            raise web.HTTPOk(text='{"components": {"schemas": {}}}')
        raise web.HTTPOk(text='{"resources": [{"name": "meshes"}, {"name": "meshhttproutes"}]}')

    async with scripted_api() as api:
        api.on_request = answer
        with pytest.raises(NotFound, match="schema of MeshHTTPRoute"):
            await discover(api.client)
