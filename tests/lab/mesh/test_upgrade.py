"""Another Kuma over the same objects: the control plane beside the lab's real API server."""

import json
import shutil
from pathlib import Path

import pytest

from lab.mesh.mesh_objects import ROUTE_ALL, Obj, form_b, form_c
from lab.mesh.test_control_plane import control_plane, get, make_podinfo, until, weights
from serinus.cluster import kinds
from serinus.cluster.client import Client, PatchKind
from serinus.cluster.errors import ApiError, NotFound
from serinus.lab.mesh.versions import SYSTEM_NAMESPACE, V2_7, V2_14, V3_0

LABELLED = {"labels": {"kuma.io/sidecar-injection": "enabled"}}
LISTENER = "kri_msvc_default_default_test_podinfo_http"
STRICT = {"fieldValidation": "Strict"}


def kuma(kind: str, obj: Obj) -> Obj:
    return {"apiVersion": "kuma.io/v1alpha1", "kind": kind, **obj}


async def crd_names(client: Client) -> set[str]:
    found = json.loads(await client.list(kinds.CRDS))["items"]
    return {one["metadata"]["name"] for one in found}


async def test_from_2_14_to_3_0(tmp_path: Path) -> None:
    async with control_plane(tmp_path, V2_14) as (client, paths):
        uids = await make_podinfo(client, LABELLED)
        await client.create(kinds.TRAFFICROUTES, None, kuma("TrafficRoute", ROUTE_ALL))
        await client.create(kinds.MESHHTTPROUTES, "test", kuma("MeshHTTPRoute", form_b(90, 10)))

        async def split() -> bool:
            return bool(weights(paths, uids["client"], LISTENER) == [90, 10])

        await until(split)
        before = await get(client, kinds.MESHHTTPROUTES, "test", "podinfo")
        await until(lambda: get(client, kinds.MESHSERVICES, "test", "podinfo-canary"))
    shutil.rmtree(paths.xds)
    async with control_plane(tmp_path, V3_0) as (client, paths):
        names = await crd_names(client)
        assert "trafficroutes.kuma.io" not in names
        assert "meshhttproutes.kuma.io" in names
        with pytest.raises(NotFound):
            await client.get(kinds.TRAFFICROUTES, None, "route-all-default")
        # What was stored is read without the fields that the new schema does not have.
        after = await get(client, kinds.MESHHTTPROUTES, "test", "podinfo")
        assert after["metadata"]["uid"] == before["metadata"]["uid"]
        (to,) = after["spec"]["to"]
        assert to["targetRef"] == {"kind": "MeshService", "sectionName": "http"}
        assert to["rules"][0]["default"]["backendRefs"] == [
            {"kind": "MeshService", "port": 9898, "weight": weight} for weight in (90, 10)
        ]

        async def plain() -> bool:
            sidecar = paths.xds / uids["client"]
            to_apex = f'"cluster":"{LISTENER}"' in (sidecar / "lds.json").read_text()
            return to_apex and not list(sidecar.glob("rds-*"))

        await until(plain)
        # The sidecars of bare pods stay; a person has to make such pods anew.
        assert (await get(client, kinds.PODS, "test", "client"))["spec"]["initContainers"]

        async def selects_by_labels() -> bool:
            found = await get(client, kinds.MESHSERVICES, "test", "podinfo-canary")
            return list(found["spec"]["selector"]) == ["dataplaneLabels"]

        await until(selects_by_labels)
        with pytest.raises(ApiError, match=r"unknown field .*targetRef\.name"):
            await client.patch(
                kinds.MESHHTTPROUTES,
                "test",
                "podinfo",
                {"spec": form_b(80, 20)["spec"]},
                params=STRICT,
            )
        await client.patch(
            kinds.MESHHTTPROUTES,
            "test",
            "podinfo",
            kuma("MeshHTTPRoute", form_c(80, 20)),
            PatchKind.APPLY,
            force=True,
        )

        async def split_anew() -> bool:
            return bool(weights(paths, uids["client"], LISTENER) == [80, 20])

        await until(split_anew)


async def test_pods_with_a_controller_are_made_anew(tmp_path: Path) -> None:
    owned = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "a", "uid": "1"}
    async with control_plane(tmp_path, V2_14) as (client, _):
        await make_podinfo(client, LABELLED)
        await client.patch(
            kinds.PODS,
            "test",
            "canary",
            {"metadata": {"ownerReferences": [{**owned, "controller": True}]}},
        )
    async with control_plane(tmp_path, V3_0) as (client, _):
        with pytest.raises(NotFound):
            await client.get(kinds.PODS, "test", "canary")
        assert await client.get(kinds.PODS, "test", "primary")


async def test_from_2_7_to_2_14_the_mesh_stays_without_mesh_services(tmp_path: Path) -> None:
    async with control_plane(tmp_path, V2_7) as (client, _):
        await make_podinfo(client, LABELLED)
        assert "meshservices.kuma.io" not in await crd_names(client)
        assert not (await get(client, kinds.MESHES, None, "default"))["spec"]
        retry = await get(client, kinds.MESHRETRIES, SYSTEM_NAMESPACE, "mesh-retry-all-default")
    async with control_plane(tmp_path, V2_14) as (client, _):
        kept = await get(client, kinds.MESHRETRIES, SYSTEM_NAMESPACE, "mesh-retry-all-default")
        assert kept["metadata"]["uid"] == retry["metadata"]["uid"]
        await until(lambda: get(client, kinds.DATAPLANES, "test", "canary"))
        assert json.loads(await client.list(kinds.MESHSERVICES, "test"))["items"] == []
        mode = {"spec": {"meshServices": {"mode": "Exclusive"}}}
        await client.patch(kinds.MESHES, None, "default", mode)
        await until(lambda: get(client, kinds.MESHSERVICES, "test", "podinfo-canary"))
