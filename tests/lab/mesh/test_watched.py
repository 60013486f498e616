"""Routes that are written to a real API server, strictly, reach the callers' files on each Kuma."""

import json
from pathlib import Path

import pytest

from lab.mesh.dialects import LABELS, NAMES, TAGS_2_7, Dialect, leads_to
from lab.mesh.mesh_objects import Obj
from lab.mesh.test_control_plane import STRICT, control_plane, make_podinfo, until
from serinus.cluster import kinds

LABELLED = {"labels": {"kuma.io/sidecar-injection": "enabled"}}


def resources(directory: Path, file: str) -> list[Obj]:
    found: list[Obj] = json.loads((directory / file).read_text())["resources"]
    return found


@pytest.mark.parametrize("dialect", [TAGS_2_7, NAMES, LABELS], ids=lambda d: d.name)
async def test_routes_reach_the_callers(dialect: Dialect, tmp_path: Path) -> None:
    async with control_plane(tmp_path, dialect.version) as (client, paths):
        uids = await make_podinfo(client, LABELLED)
        caller = paths.xds / uids["client"]

        def first_filter() -> Obj:
            (apex,) = (one for one in resources(caller, "lds.json") if one["name"] == dialect.apex)
            found: Obj = apex["filterChains"][0]["filters"][0]
            return found

        async def by_requests() -> bool:
            config = first_filter()["typedConfig"]
            if "rds" not in config:
                return False
            routes = resources(caller, f"rds-{config['rds']['routeConfigName']}.json")
            (route,) = routes[0]["virtualHosts"][0]["routes"]
            return leads_to(route) == wanted

        async def by_connections() -> bool:
            return (
                first_filter()["name"].endswith("tcp_proxy")
                and leads_to(first_filter()["typedConfig"]) == wanted
            )

        wanted = [
            (dialect.cluster("podinfo-primary"), 90),
            (dialect.cluster("podinfo-canary"), 10),
        ]
        route = dialect.split(90, 10)
        backends = route["spec"]["to"][0]["rules"][0]["default"]["backendRefs"]
        tcp = dialect.route({"default": {"backendRefs": backends}})

        async def known() -> bool:
            names = {one["name"] for one in resources(caller, "cds.json")}
            return dialect.own in names and len(resources(caller, "lds.json")) > 3

        await until(known)
        for resource, kind, look in (
            (kinds.MESHTCPROUTES, "MeshTCPRoute", by_connections),
            (kinds.MESHHTTPROUTES, "MeshHTTPRoute", by_requests),
        ):
            obj = {**(tcp if kind == "MeshTCPRoute" else route), "kind": kind}
            full = {"apiVersion": "kuma.io/v1alpha1", **obj}
            namespace = obj["metadata"]["namespace"]
            await client.create(resource, namespace, full, STRICT)
            await until(look)
