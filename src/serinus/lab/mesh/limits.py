"""MeshTimeout and MeshRetry as a caller's Envoy obeys them, on the routes to one destination.

Played are those for a whole Mesh, for a MeshService and for a MeshHTTPRoute, which has the last
word about its own routes; and of what they say the request timeout and HTTP's retries: how many,
how long one may take, and on what.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from serinus.api.duration import seconds
from serinus.lab.mesh.envoy import Json
from serinus.lab.mesh.model import Obj, Proxy, World
from serinus.lab.mesh.policies import reaching
from serinus.lab.mesh.versions import SYSTEM_NAMESPACE

_RETRY_ON = {
    "5xx": "5xx",
    "GatewayError": "gateway-error",
    "Reset": "reset",
    "Retriable4xx": "retriable-4xx",
    "ConnectFailure": "connect-failure",
    "EnvoyRatelimited": "envoy-ratelimited",
    "RefusedStream": "refused-stream",
    "Http3PostConnectFailure": "http3-post-connect-failure",
}

_PLAYED = {
    "MeshTimeout": ("requestTimeout",),
    "MeshRetry": ("numRetries", "perTryTimeout", "retryOn"),
}


@dataclass(frozen=True, slots=True)
class Targets:
    """Whether a reference (the first argument) of a policy (the second) is to the destination, or
    to the MeshHTTPRoute that the route was made from."""

    destination: Callable[[Obj, Obj], bool]
    route: Callable[[Obj, Obj], bool]


def limited(world: World, proxy: Proxy, action: Json, targets: Targets) -> Json:
    """The route action with what the policies say of timeouts and retries."""
    timeouts = [*world.timeouts, _kumas_own("timeout", proxy.mesh, requestTimeout="15s")]
    timeout = _http(reaching(world.version, timeouts, proxy), targets).get("requestTimeout")
    own = _kumas_own("retry", proxy.mesh, numRetries=5, perTryTimeout="16s")
    retry = _http(reaching(world.version, [*world.retries, own], proxy), targets)
    result = dict(action)
    if timeout is not None:
        result["timeout"] = _duration(timeout)
    policy = dict(action["retryPolicy"])
    if "numRetries" in retry:
        policy["numRetries"] = retry["numRetries"]
    if "perTryTimeout" in retry:
        policy["perTryTimeout"] = _duration(retry["perTryTimeout"])
    if "retryOn" in retry:
        policy |= _conditions(retry["retryOn"])
    return {**result, "retryPolicy": policy}


def _kumas_own(about: str, mesh: str, **http: Any) -> Obj:
    """What Kuma makes for every new mesh, in its own namespace: there the name decides between
    this one and others."""
    to = {"targetRef": {"kind": "Mesh"}, "default": {"http": http}}
    return {
        "metadata": {
            "name": f"mesh-{about}-all-{mesh}",
            "namespace": SYSTEM_NAMESPACE,
            "labels": {"kuma.io/mesh": mesh},
        },
        "spec": {"targetRef": {"kind": "Mesh"}, "to": [to]},
    }


def unplayed(kind: str, spec: Obj) -> Iterator[str]:
    """The parts of a MeshTimeout's or a MeshRetry's spec that are not obeyed here."""
    yield from (f"spec.{part}" for part in ("from", "rules") if spec.get(part))
    for index, to in enumerate(spec.get("to") or ()):
        where = f"spec.to[{index}]"
        target = (to.get("targetRef") or {}).get("kind")
        if target not in ("Mesh", "MeshService", "MeshHTTPRoute"):
            yield f"{where}.targetRef.kind {target}"
        default = to.get("default") or {}
        yield from (f"{where}.default.{part}" for part in default if part != "http")
        for part in default.get("http") or {}:
            if part not in _PLAYED[kind]:
                yield f"{where}.default.http.{part}"


def _http(policies: Sequence[Obj], targets: Targets) -> Mapping[str, Any]:
    """What they say about HTTP together, the later ones having the last word, and those for the
    route before all others."""
    wide: dict[str, Any] = {}
    narrow: dict[str, Any] = {}
    for policy in policies:
        for to in policy["spec"].get("to") or ():
            ref = to.get("targetRef") or {}
            http = (to.get("default") or {}).get("http") or {}
            if targets.route(ref, policy):
                narrow |= http
            elif ref.get("kind") == "Mesh" or targets.destination(ref, policy):
                wide |= http
    return {**wide, **narrow}


def _conditions(asked: Sequence[str]) -> Json:
    names = [_RETRY_ON[one] for one in asked if one in _RETRY_ON]
    statuses = [int(one) for one in asked if one.isdecimal()]
    if not statuses:
        return {"retryOn": ",".join(names)}
    return {
        "retryOn": ",".join([*names, "retriable-status-codes"]),
        "retriableStatusCodes": statuses,
    }


def _duration(text: str) -> str:
    return f"{seconds(text):.9f}".rstrip("0").rstrip(".") + "s"
