"""Definitions of kinds are followed by name, on the lab's API server and one that is scripted."""

import asyncio
from pathlib import Path
from typing import Any

from cluster.lab_api import LabApi, lab_api
from cluster.scripted_api import scripted_api
from serinus.cluster.definitions import Definitions, may_watch
from serinus.cluster.kinds import CLUSTERROLEBINDINGS, CLUSTERROLES, CRDS

Object = dict[str, Any]
NAMES = ("things.example.com", "others.example.com")


def definition(plural: str, *fields: str) -> Object:
    properties = {name: {"type": "string"} for name in fields}
    schema = {"openAPIV3Schema": {"type": "object", "properties": properties}}
    return {
        "metadata": {"name": f"{plural}.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"kind": plural.title(), "plural": plural},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
        },
    }


class Told:
    """How often it was told, and the wait for it."""

    def __init__(self) -> None:
        self.event = asyncio.Event()

    async def again(self) -> None:
        async with asyncio.timeout(60):
            await self.event.wait()
        self.event.clear()


async def allow_bob(api: LabApi, *names: str) -> None:
    rule = {
        "apiGroups": [CRDS.group],
        "resources": [CRDS.plural],
        "resourceNames": list(names),
        "verbs": ["list", "watch"],
    }
    role = {"metadata": {"name": "crds"}, "rules": [rule]}
    subject = {"kind": "User", "name": "bob", "apiGroup": CLUSTERROLES.group}
    reference = {"kind": "ClusterRole", "name": "crds", "apiGroup": CLUSTERROLES.group}
    binding = {"metadata": {"name": "crds"}, "subjects": [subject], "roleRef": reference}
    await api.client.create(CLUSTERROLES, None, role)
    await api.client.create(CLUSTERROLEBINDINGS, None, binding)


async def test_what_changes_a_kind_is_told_and_nothing_else(tmp_path: Path) -> None:
    async with lab_api(tmp_path) as api:
        await allow_bob(api, *NAMES)
        told = Told()
        definitions = Definitions(api.bob, NAMES, told.event.set)
        running = asyncio.create_task(definitions.run())
        try:
            await definitions.listed()
            assert not told.event.is_set()
            await api.client.create(CRDS, None, definition("things"))
            await told.again()

            # Neither another's definition, nor a label of one of ours.
            await api.client.create(CRDS, None, definition("strangers"))
            marked = {"metadata": {"labels": {"seen": "yes"}}}
            await api.client.patch(CRDS, None, NAMES[0], marked)
            for cache in definitions._caches:
                await cache.catch_up()
            assert not told.event.is_set()

            spec = definition("things", "color")["spec"]
            await api.client.patch(CRDS, None, NAMES[0], {"spec": spec})
            await told.again()
            await api.client.create(CRDS, None, definition("others"))
            await told.again()
            await api.client.delete(CRDS, None, NAMES[0])
            await told.again()
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


async def test_a_definition_that_is_not_served_yet_has_null_for_conditions() -> None:
    """So a real API server shows it at first; what is told is that it comes, and is served."""
    made = {**definition("things"), "status": {"conditions": None}}
    made["metadata"] |= {"resourceVersion": "2", "uid": "x", "generation": 1}
    served = {"conditions": [{"type": "Established", "status": "True"}]}
    async with scripted_api() as api:
        told = Told()
        definitions = Definitions(api.client, NAMES[:1], told.event.set)
        running = asyncio.create_task(definitions.run())
        try:
            watch = await api.watches.get()
            await watch.send("ADDED", made)
            await told.again()
            made["metadata"]["resourceVersion"] = "3"
            await watch.send("MODIFIED", {**made, "status": served})
            await told.again()
            watch.close()
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


async def test_whether_they_may_be_watched(tmp_path: Path) -> None:
    async with lab_api(tmp_path) as api:
        assert await may_watch(api.client, NAMES[0])
        assert not await may_watch(api.bob, NAMES[0])
        await allow_bob(api, NAMES[0])
        assert await may_watch(api.bob, NAMES[0])
        assert not await may_watch(api.bob, NAMES[1])
