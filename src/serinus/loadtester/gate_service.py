"""The paths `/gate/*` and `/rollback/*`, with Flagger's answers."""

from collections.abc import Awaitable, Callable

from aiohttp import web

from serinus.loadtester.gates import GateStore, gate_key
from serinus.loadtester.logs import LOG
from serinus.loadtester.payload import Payload

Read = Callable[[web.Request], Awaitable[Payload]]
"""Who is allowed to ask, and for which canary; raises what answers anybody else."""


class GateService:
    """The routes of gates that are kept in ``store``. As in Flagger, any method will do."""

    def __init__(self, store: GateStore, read: Read) -> None:
        self._store = store
        self._read = read

    def routes(self) -> list[web.RouteDef]:
        found = [
            web.route("*", "/gate/approve", self._approve),
            web.route("*", "/gate/halt", self._halt),
        ]
        for rollback, name in ((False, "gate"), (True, "rollback")):
            found.append(web.route("*", f"/{name}/check", self._check(rollback)))
            found.append(web.route("*", f"/{name}/open", self._put(rollback, True)))
            found.append(web.route("*", f"/{name}/close", self._put(rollback, False)))
        return found

    async def _approve(self, _: web.Request) -> web.Response:
        return web.Response(text="OK")

    async def _halt(self, _: web.Request) -> web.Response:
        return web.Response(status=403, text="Forbidden")

    def _check(self, rollback: bool) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def check(request: web.Request) -> web.Response:
            payload = await self._read(request)
            key = gate_key(payload, rollback=rollback)
            approved = key in await self._store.opened()
            _say(payload, rollback, f"check: approved {'true' if approved else 'false'}")
            if approved:
                return web.Response(text="Approved")
            return web.Response(status=403, text="Forbidden")

        return check

    def _put(
        self, rollback: bool, is_open: bool
    ) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def put(request: web.Request) -> web.Response:
            payload = await self._read(request)
            await self._store.put(gate_key(payload, rollback=rollback), is_open)
            _say(payload, rollback, "opened" if is_open else "closed")
            return web.Response(status=202)

        return put


def _say(payload: Payload, rollback: bool, what: str) -> None:
    gate = (payload.metadata or {}).get("gate", "")
    fields = {"canary": payload.canary} | ({"gate": gate} if gate else {})
    noun = "rollback" if rollback else "gate"
    LOG.info("%s %s %s", payload.canary, noun, what, extra={"fields": fields})
