"""podinfo's routes."""

import asyncio
import base64
import hashlib
import hmac
import json
import os
import random
import socket
import sys
import time
from dataclasses import dataclass, field

from serinus.lab.images.podinfo.histogram import RequestMetrics
from serinus.lab.images.podinfo.http import Request, Response

TOKEN_KEY = os.urandom(32)
TOKEN_TTL = 60
"""Seconds that a token of POST /token is good for."""

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"

MAX_DELAY = 300.0
"""Seconds; a longer /delay is refused so that a typo does not hold a connection for days."""


@dataclass(slots=True)
class Podinfo:
    """The application: what it was started with, and whether it says it is ready."""

    version: str
    level: str = "info"
    random_delay: bool = False
    random_error: bool = False
    ready: bool = True
    metrics: RequestMetrics = field(default_factory=RequestMetrics)
    store: dict[str, bytes] = field(default_factory=dict)

    def log(self, message: str, level: str = "info", **fields: object) -> None:
        """One line of JSON on standard error, unless the level says not to."""
        if level == "debug" and self.level != "debug":
            return
        ts = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())
        line = {"level": level, "ts": ts, "msg": message, "version": self.version, **fields}
        sys.stderr.write(json.dumps(line) + "\n")

    async def handle(self, request: Request) -> Response:
        """Answer, and count the answer. Probes and scrapes are not counted, as in podinfo."""
        start = time.perf_counter()
        head, _, rest = request.path.lstrip("/").partition("/")
        route = f"/{head}" if not rest else f"/{head}/:arg"
        if head not in {"healthz", "readyz", "metrics"}:
            if self.random_delay:
                await asyncio.sleep(random.random() * 5)
            if self.random_error and random.random() < 1 / 3:
                response = Response(random.choice((500, 502, 503)), b'{"status":"random"}')
                self.metrics.observe(
                    request.method, route, response.status, time.perf_counter() - start
                )
                return response
        response = await self._route(head, rest, request)
        if head in {"healthz", "readyz", "metrics"}:
            return response
        known = route if response.status != 404 or head == "status" else "/:unknown"
        self.metrics.observe(request.method, known, response.status, time.perf_counter() - start)
        if self.level == "debug":
            self.log("request", "debug", path=request.path, status=response.status)
        return response

    async def _route(self, head: str, rest: str, request: Request) -> Response:
        match head, rest:
            case "", "":
                return reply(self.runtime())
            case "version", "":
                return reply({"version": self.version, "commit": "serinus-lab"})
            case (("healthz" | "readyz"), _):
                return self._health(head, rest)
            case "status", _:
                return self._status(rest)
            case "delay", _:
                return await self._delay(rest)
            case "token", _:
                return self._token(rest, request)
            case (("env" | "headers"), ""):
                return self._mirror(head, request)
            case (("echo" | "api"), _):
                if request.method not in {"POST", "PUT"}:
                    return reply({"code": 405, "message": "use POST or PUT"}, 405)
                return Response(202, request.body)
            case (("store" | "cache"), _):
                return self._store(rest, request)
            case "metrics", "":
                return Response(200, self.metrics.exposition().encode(), METRICS_TYPE)
            case "panic", "":
                self._panic()
        return reply({"code": 404, "message": f"no such path: {request.path}"}, 404)

    def runtime(self) -> dict[str, str]:
        """What ``/`` says of this process."""
        return {
            "hostname": socket.gethostname(),
            "version": self.version,
            "revision": "serinus-lab",
            "color": os.environ.get("PODINFO_UI_COLOR", "#34577c"),
            "logo": os.environ.get("PODINFO_UI_LOGO", ""),
            "message": os.environ.get(
                "PODINFO_UI_MESSAGE", f"greetings from podinfo v{self.version}"
            ),
            "goos": sys.platform,
            "goarch": os.uname().machine,
            "runtime": f"python{sys.version_info.major}.{sys.version_info.minor}",
            "num_goroutine": str(len(asyncio.all_tasks())),
            "num_cpu": str(os.cpu_count() or 1),
        }

    def _mirror(self, head: str, request: Request) -> Response:
        if head == "env":
            return reply([f"{name}={value}" for name, value in sorted(os.environ.items())])
        return reply({name.title(): [value] for name, value in request.headers.items()})

    def _panic(self) -> None:
        self.log("Panic command received", "fatal")
        sys.stderr.flush()
        os._exit(255)

    def _health(self, head: str, rest: str) -> Response:
        if head == "readyz" and rest in {"enable", "disable"}:
            self.ready = rest == "enable"
            return reply({"status": "OK"}, 202)
        if rest:
            return reply({"code": 404, "message": f"no such path: /{head}/{rest}"}, 404)
        if head == "readyz" and not self.ready:
            return reply({"status": "Service Unavailable"}, 503)
        return reply({"status": "OK"})

    def _status(self, code: str) -> Response:
        if not code.isdigit() or not 200 <= int(code) <= 599:
            return reply({"code": 400, "message": f"not a status from 200 to 599: {code}"}, 400)
        return reply({"status": int(code)}, int(code))

    async def _delay(self, text: str) -> Response:
        try:
            seconds = float(text)
        except ValueError:
            seconds = -1.0
        if not 0 <= seconds <= MAX_DELAY:
            return reply({"code": 400, "message": f"not seconds from 0 to 300: {text}"}, 400)
        await asyncio.sleep(seconds)
        return reply({"delay": int(seconds) if seconds.is_integer() else seconds})

    def _token(self, rest: str, request: Request) -> Response:
        if rest == "validate":
            kind, _, token = request.headers.get("authorization", "").partition(" ")
            claims = verify(token) if kind.lower() == "bearer" else None
            if claims is None:
                return reply({"code": 401, "message": "the bearer token is not valid"}, 401)
            return reply({"token_name": claims["name"], "expires_at": stamp(claims["exp"])})
        if rest or request.method != "POST":
            return reply({"code": 405, "message": "POST /token, GET /token/validate"}, 405)
        name = request.body.decode("utf-8", "replace") or "anonymous"
        expires = int(time.time()) + TOKEN_TTL
        return reply({"token": sign(name, expires), "expires_at": stamp(expires)})

    def _store(self, rest: str, request: Request) -> Response:
        if request.method in {"POST", "PUT"}:
            key = rest or hashlib.sha1(request.body, usedforsecurity=False).hexdigest()
            self.store[key] = request.body
            return reply({"hash": key}, 202)
        if request.method == "DELETE":
            self.store.pop(rest, None)
            return Response(202)
        if rest not in self.store:
            return reply({"code": 404, "message": f"nothing stored as {rest}"}, 404)
        return Response(200, self.store[rest], "application/octet-stream")


def reply(value: object, status: int = 200) -> Response:
    """A JSON answer, indented as podinfo's."""
    return Response(status, json.dumps(value, indent=2).encode())


def stamp(seconds: int) -> str:
    """Seconds since 1970 as RFC 3339."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


TOKEN_HEAD = _b64(b'{"alg":"HS256","typ":"JWT"}')


def _mac(text: str) -> str:
    return _b64(hmac.digest(TOKEN_KEY, text.encode(), "sha256"))


def sign(name: str, expires: int) -> str:
    """A JSON Web Token (HS256) that this process alone accepts."""
    claims = {"name": name, "iss": "podinfo", "exp": expires}
    text = f"{TOKEN_HEAD}.{_b64(json.dumps(claims).encode())}"
    return f"{text}.{_mac(text)}"


def verify(token: str) -> dict[str, int] | None:
    """The token's claims, or None when it is not ours or is out of date."""
    text, _, mac = token.rpartition(".")
    if not text or not hmac.compare_digest(mac.encode(), _mac(text).encode()):
        return None
    payload = text.split(".")[1]
    padding = "=" * (-len(payload) % 4)
    claims: dict[str, int] = json.loads(base64.urlsafe_b64decode(payload + padding))
    return claims if claims["exp"] >= time.time() else None
