"""The objects that Kuma makes of Services and pods."""

import json
from pathlib import Path
from typing import Any

import pytest

from lab.mesh.mesh_objects import mesh, podinfo_world
from serinus.lab.mesh.model import World, observe
from serinus.lab.mesh.objects import dataplane, mesh_services
from serinus.lab.mesh.versions import V2_7, V2_14, V3_0, KumaVersion, played

OBSERVED = Path(__file__).parent / "observed"


def world(version: KumaVersion = V2_14) -> World:
    return observe(version, **podinfo_world(), meshes=[mesh(version.mesh_services)])


def observed(name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((OBSERVED / name).read_text())
    return [obj for obj in found if obj["metadata"]["namespace"] == "test"]


def without_times(obj: dict[str, Any], *fields: str) -> dict[str, Any]:
    meta = {k: v for k, v in obj["metadata"].items() if k not in ("generation", *fields)}
    owners = [{**owner, "uid": ""} for owner in meta["ownerReferences"]]
    return {**obj, "metadata": {**meta, "ownerReferences": owners}}


@pytest.mark.parametrize(
    ("version", "file"),
    [
        (V2_14, "2.14.3-exclusive-meshservices.json"),
        (V3_0, "3.0-dev-meshservices.json"),
    ],
    ids=["2.14", "3.0"],
)
def test_mesh_services(version: KumaVersion, file: str) -> None:
    """Left out: uids, generation, addresses; ``connected`` counts sidecars whose control plane
    connection is up, which ours always is; the client's Service carries a label in our world."""
    ours = {
        o["metadata"]["name"]: o
        for o in mesh_services(world(version))
        if o["metadata"]["namespace"] == "test"
    }
    found = observed(file)
    assert {o["metadata"]["name"] for o in found} == ours.keys()
    for theirs in found:
        mine = without_times(ours[theirs["metadata"]["name"]])
        for status in (mine["status"], theirs["status"]):
            status["vips"] = []
            status["dataplaneProxies"].pop("connected", None)
        if theirs["metadata"]["name"] == "client":
            mine["metadata"]["labels"].pop("app")
        assert mine == without_times(theirs)


def test_without_mesh_services_there_are_none() -> None:
    assert not mesh_services(world(played("2.14", "disabled")))
    assert not mesh_services(world(V2_7))


@pytest.mark.parametrize(
    ("version", "file"),
    [
        (V2_7, "2.7.29-dataplanes.json"),
        (V2_14, "2.14.3-exclusive-dataplanes.json"),
        (played("2.14", "disabled"), "2.14.3-disabled-dataplanes.json"),
        (V3_0, "3.0-dev-dataplanes.json"),
    ],
    ids=["2.7", "2.14", "2.14-disabled", "3.0"],
)
def test_dataplanes(version: KumaVersion, file: str) -> None:
    """Left out: uids, generation, and the IPv6 half of the redirection, which the lab has not."""
    seen = world(version)
    ours = {p.name: dataplane(seen, p, "") for p in seen.proxies if p.namespace == "test"}
    found = observed(file)
    assert {o["metadata"]["name"] for o in found} == ours.keys()
    for theirs in found:
        theirs["spec"]["networking"].get("transparentProxying", {}).pop("ipFamilyMode", None)
        assert without_times(ours[theirs["metadata"]["name"]]) == without_times(theirs)
