"""`spec.service.timeout` and `retries`: a MeshTimeout and a MeshRetry for requests to the apex.

They are no part of a route in Kuma. They stand where the route does and lead to the apex as it
does, so they hold for the callers of every namespace, too.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import msgspec

from serinus.api.canary import Canary
from serinus.api.duration import seconds
from serinus.api.problem import Problem
from serinus.cluster.resource import Resource
from serinus.cluster.written import Written
from serinus.routing.kuma.addressing import NARROWING, Addressing, Home, meaning
from serinus.routing.kuma.objects import Objects, change_of, desired
from serinus.routing.kuma.proxypatch import covers
from serinus.routing.kuma.rules import dicts
from serinus.routing.kuma.views import PolicyView
from serinus.routing.kuma.writing import Json, paths, route_metadata

RETRY_ON = {
    "5xx": "5xx",
    "gateway-error": "GatewayError",
    "reset": "Reset",
    "retriable-4xx": "Retriable4xx",
    "connect-failure": "ConnectFailure",
    "envoy-ratelimited": "EnvoyRatelimited",
    "refused-stream": "RefusedStream",
    "http3-post-connect-failure": "Http3PostConnectFailure",
}
"""Kuma's names for the failures that Envoy tries again. It also takes the number of a status."""

_TIMEOUT, _RETRIES = "spec.service.timeout", "spec.service.retries"
_UNITS = ((10**6, "ms"), (10**3, "µs"), (1, "ns"))


def timeout_conf(canary: Canary) -> Json:
    """The `default` of the MeshTimeout; empty when none is asked for."""
    asked = canary.spec.service.timeout
    return {"http": {"requestTimeout": go_duration(asked)}} if asked else {}


def retry_conf(canary: Canary) -> Json:
    """The `default` of the MeshRetry; empty when none is asked for."""
    asked = canary.spec.service.retries
    http: Json = {}
    if asked is not None and asked.attempts is not None:
        http["numRetries"] = asked.attempts
    if asked is not None and asked.per_try_timeout:
        http["perTryTimeout"] = go_duration(asked.per_try_timeout)
    if asked is not None and asked.retry_on:
        http["retryOn"] = [RETRY_ON.get(one, one) for one in _conditions(asked.retry_on)]
    return {"http": http} if http else {}


def go_duration(text: str) -> str:
    """The same duration as Kuma's webhooks write it (Go's way); otherwise every look at the
    object would find it to be changed."""
    nanoseconds = round(seconds(text) * 10**9)
    if 0 < nanoseconds < 10**9:
        size, unit = next((size, unit) for size, unit in _UNITS if nanoseconds >= size)
        return f"{_decimal(nanoseconds, size)}{unit}"
    minutes, rest = divmod(nanoseconds, 60 * 10**9)
    hours, minutes = divmod(minutes, 60)
    larger = f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else ""
    return f"{larger}{_decimal(rest, 10**9)}s"


def problems(canary: Canary) -> Iterator[Problem]:
    """What Kuma would not take."""
    service = canary.spec.service
    if service.timeout:
        yield from _duration(_TIMEOUT, service.timeout, least=0)
    retries = service.retries
    if retries is None:
        return
    if service.app_protocol == "grpc":
        yield Problem(
            _RETRIES, "Kuma retries gRPC by conditions of its own; use Kuma's MeshRetry for it"
        )
    if (retries.attempts, retries.per_try_timeout, retries.retry_on) == (None, "", ""):
        yield Problem(_RETRIES, "says nothing; give it attempts, or remove it")
    if retries.attempts is not None and retries.attempts < 1:
        yield Problem(f"{_RETRIES}.attempts", f"is {retries.attempts}; use 1 or more")
    if retries.per_try_timeout:
        yield from _duration(f"{_RETRIES}.perTryTimeout", retries.per_try_timeout, least=1e-9)
    for one in _conditions(retries.retry_on):
        if one not in RETRY_ON and not (one.isdecimal() and 400 <= int(one) <= 599):
            yield Problem(
                f"{_RETRIES}.retryOn",
                f'Kuma does not retry on "{one}"; use {", ".join(RETRY_ON)}, or the number of a '
                "status",
            )


class ServicePolicies:
    """The policies of one kind; each canary has one while its ``field`` is set."""

    def __init__(
        self,
        objects: Objects[PolicyView],
        addressing: Addressing,
        field: str,
        asked: Callable[[Canary], bool],
        conf: Callable[[Canary], Json],
    ) -> None:
        self._objects = objects
        self._addressing = addressing
        self._field = field
        self._asked = asked
        self._conf = conf

    def problems(self, canary: Canary) -> Iterator[Problem]:
        """A policy of our name that is somebody else's."""
        if self._asked(canary):
            home = policy_home(canary, self._addressing)
            yield from self._objects.problems(canary, home, self._field, "or remove this field")

    def drift(self, canary: Canary) -> Iterator[str]:
        """Fields of the policy that is there which are not as wanted."""
        home = policy_home(canary, self._addressing)
        live, conf = self._objects.live(home), self._conf(canary)
        if live is not None and conf:
            for path in paths(policy_change(canary, live, conf, self._addressing)):
                yield f"{path} of {self._objects.resource.kind} {home.name}"

    async def reconcile(self, canary: Canary) -> list[Written]:
        """Have the policy that is asked for, or none."""
        conf = self._conf(canary)
        if not conf:
            await self._objects.remove(canary)
            return []
        home = policy_home(canary, self._addressing)
        body = partial(desired_policy, canary, self._objects.resource, conf, self._addressing)
        change = partial(policy_change, canary, conf=conf, addressing=self._addressing)
        wrote = await self._objects.have(home, body, change)
        await self._objects.remove(canary, but=[home])
        return wrote

    async def remove(self, canary: Canary) -> None:
        """Delete the canary's policy."""
        await self._objects.remove(canary)

    async def collect(self, exists: Callable[[str, str], bool]) -> None:
        """Delete those of canaries that do not exist."""
        await self._objects.collect(exists)


def timeouts(objects: Objects[PolicyView], addressing: Addressing) -> ServicePolicies:
    """The MeshTimeouts of `spec.service.timeout`."""
    return ServicePolicies(
        objects,
        addressing,
        _TIMEOUT,
        lambda canary: bool(canary.spec.service.timeout),
        timeout_conf,
    )


def retries(objects: Objects[PolicyView], addressing: Addressing) -> ServicePolicies:
    """The MeshRetries of `spec.service.retries`."""
    return ServicePolicies(
        objects,
        addressing,
        _RETRIES,
        lambda canary: canary.spec.service.retries is not None,
        retry_conf,
    )


def policy_home(canary: Canary, addressing: Addressing) -> Home:
    """Where the policy stands. In the control plane's namespace there are Kuma's own for the whole
    mesh, `mesh-timeout-all-MESH` and `mesh-retry-all-MESH`, and of two there Kuma obeys the one
    whose name comes first."""
    home = addressing.home(canary)
    return home if home.owned else replace(home, name=f"canary-{home.name}")


def desired_policy(canary: Canary, resource: Resource, conf: Json, addressing: Addressing) -> Json:
    """The policy to create."""
    spec = {"targetRef": {"kind": "Mesh"}, "to": _to(canary, conf, addressing)}
    return desired(resource, canary, policy_home(canary, addressing), route_metadata(canary), spec)


def policy_change(canary: Canary, live: PolicyView, conf: Json, addressing: Addressing) -> Json:
    """The merge patch that makes ``live`` say what is wanted; empty when it does."""
    found = msgspec.json.decode(live.spec)
    spec: Json = {}
    callers = found.get("targetRef") or {"kind": "Mesh"}
    narrowed: Json = {key: None for key in NARROWING if key in callers}
    if narrowed or callers.get("kind") != "Mesh":
        spec["targetRef"] = {"kind": "Mesh", **narrowed}
    to = _to(canary, conf, addressing)
    if not covers(found.get("to"), to) or _targets(found["to"]) != _targets(to):
        spec["to"] = to
    home = policy_home(canary, addressing)
    return change_of(canary, home, live.metadata, route_metadata(canary), spec)


def _to(canary: Canary, conf: Json, addressing: Addressing) -> list[Json]:
    return [{"targetRef": addressing.apex(canary), "default": conf}]


def _targets(to: list[Json]) -> list[Json]:
    return [meaning(entry["targetRef"]) for entry in dicts(to)]


def _conditions(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _decimal(amount: int, size: int) -> str:
    whole, rest = divmod(amount, size)
    digits = f"{rest:0{len(str(size)) - 1}d}".rstrip("0") if rest else ""
    return f"{whole}.{digits}" if digits else str(whole)


def _duration(path: str, text: str, least: float) -> Iterator[Problem]:
    try:
        found = seconds(text)
    except ValueError as error:
        yield Problem(path, str(error))
        return
    if found < least:
        yield Problem(path, f'"{text}" is too short; write for example "15s"')
