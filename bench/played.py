"""What an operator meets in `bench/scale.py` that is not the control plane: Deployments that are
ready at once, a Prometheus that is content with every canary, and a hook that always says yes."""

import asyncio
import re
import time
from collections import Counter
from typing import Any, Self

import msgspec
from aiohttp import web

from serinus.cluster.cache import Cache, Change
from serinus.cluster.client import Client
from serinus.cluster.errors import Conflict, NotFound
from serinus.cluster.kinds import DATAPLANES, DEPLOYMENTS, MESHSERVICES, SERVICES
from serinus.lab.mesh.versions import KumaVersion

WORKERS = 16

SCRAPE = 15
"""Seconds between two samples of a series."""

BOUNDS = (
    *("0.5", "1", "5", "10", "25", "50", "100", "250", "500", "1000"),
    *("2500", "5000", "10000", "30000", "60000", "300000", "600000", "1800000", "3600000", "+Inf"),
)
"""Envoy's buckets, in milliseconds."""


class _Meta(msgspec.Struct, frozen=True):
    generation: int = 0


class _Spec(msgspec.Struct, frozen=True):
    replicas: int = 1


class _Status(msgspec.Struct, frozen=True, rename="camel"):
    observed_generation: int = 0


class Deployment(msgspec.Struct):
    metadata: _Meta
    spec: _Spec
    status: _Status = _Status()


class Deployments:
    """Has every Deployment finished as soon as it is seen, by one write of its status."""

    def __init__(self, client: Client, namespace: str) -> None:
        self._client = client
        self._namespace = namespace
        decoder = msgspec.json.Decoder(Deployment)
        self.cache: Cache[Deployment] = Cache(
            client, DEPLOYMENTS, decoder.decode, namespace=namespace
        )
        self._due: asyncio.Queue[str] = asyncio.Queue()

    async def run(self) -> None:
        self.cache.subscribe(self._changed)
        async with asyncio.TaskGroup() as group:
            group.create_task(self.cache.run())
            for _ in range(WORKERS):
                group.create_task(self._work())

    def _changed(self, change: Change[Deployment]) -> None:
        new = change.new
        if new is not None and new.status.observed_generation < new.metadata.generation:
            self._due.put_nowait(change.key[1])

    async def _work(self) -> None:
        while True:
            name = await self._due.get()
            found = self.cache.get(self._namespace, name)
            if found is None:
                continue
            count, now = found.spec.replicas, time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            conditions = [
                {
                    "type": kind,
                    "status": "True",
                    "reason": reason,
                    "message": "",
                    "lastUpdateTime": now,
                    "lastTransitionTime": now,
                }
                for kind, reason in (
                    ("Available", "MinimumReplicasAvailable"),
                    ("Progressing", "NewReplicaSetAvailable"),
                )
            ]
            status = {
                "observedGeneration": found.metadata.generation,
                **dict.fromkeys(
                    ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), count
                ),
                "conditions": conditions,
            }
            try:
                await self._client.patch(
                    DEPLOYMENTS, self._namespace, name, {"status": status}, subresource="status"
                )
            except (Conflict, NotFound):
                continue


class _Service(msgspec.Struct):
    spec: dict[str, Any]


def dataplane(name: str, namespace: str) -> dict[str, Any]:
    """Kuma's object for a pod of that canary, for a Kuma that goes by service tags."""
    inbound = {
        "port": 9898,
        "tags": {"kuma.io/service": f"{name}-canary_{namespace}_svc_9898"},
        "health": {"ready": True},
    }
    return {
        "apiVersion": DATAPLANES.api_version,
        "kind": DATAPLANES.kind,
        "mesh": "default",
        "metadata": {"name": name},
        "spec": {"networking": {"address": "10.0.0.1", "inbound": [inbound]}},
    }


class MeshServices:
    """Makes the MeshService of every Service, as Kuma's control plane does from 2.9 on."""

    def __init__(self, client: Client, namespace: str, kuma: KumaVersion) -> None:
        self._client = client
        self._namespace = namespace
        self._by_tags = kuma.inbound_tags
        decoder = msgspec.json.Decoder(_Service)
        self._cache: Cache[_Service] = Cache(client, SERVICES, decoder.decode, namespace=namespace)
        self._due: asyncio.Queue[tuple[str, _Service]] = asyncio.Queue()

    async def run(self) -> None:
        self._cache.subscribe(self._changed)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._cache.run())
            for _ in range(WORKERS):
                group.create_task(self._work())

    def _changed(self, change: Change[_Service]) -> None:
        if change.old is None and change.new is not None:
            self._due.put_nowait((change.key[1], change.new))

    async def _work(self) -> None:
        while True:
            name, service = await self._due.get()
            ports = [
                {
                    "port": port["port"],
                    "name": port.get("name", ""),
                    "appProtocol": "http",
                    "targetPort": port.get("targetPort"),
                }
                for port in service.spec["ports"]
            ]
            pods = service.spec.get("selector") or {}
            selector = (
                {"dataplaneTags": pods}
                if self._by_tags
                else {"dataplaneLabels": {"matchLabels": pods}}
            )
            body = {
                "apiVersion": MESHSERVICES.api_version,
                "kind": MESHSERVICES.kind,
                "metadata": {"name": name, "labels": {"kuma.io/mesh": "default"}},
                "spec": {"ports": ports, "selector": selector},
            }
            await self._client.create(MESHSERVICES, self._namespace, body)


class Peers:
    """Prometheus and the hook, as one HTTP server on loopback; ``counted`` is how often each was
    asked, and ``asked_of`` how many canaries the queries were about."""

    def __init__(self) -> None:
        self.counted: Counter[str] = Counter()
        self.asked_of = 0
        self.address = ""

    async def __aenter__(self) -> Self:
        application = web.Application(client_max_size=1 << 22)
        application.router.add_route("*", "/api/v1/query", self._query)
        application.router.add_route("*", "/api/v1/status/flags", self._flags)
        application.router.add_post("/hook", self._hook)
        self._runner = web.AppRunner(application, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0, backlog=1024).start()
        self.address = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _hook(self, request: web.Request) -> web.Response:
        self.counted["hooks"] += 1
        await request.read()
        return web.Response(text="OK")

    async def _flags(self, _: web.Request) -> web.Response:
        return web.json_response({"status": "success", "data": {}})

    async def _query(self, request: web.Request) -> web.Response:
        self.counted["queries"] += 1
        given: Any = await request.post() if request.method == "POST" else request.query
        query = str(given.get("query", ""))
        now = float(given.get("time") or time.time())
        span = re.search(r"\[(\d+)ms\]$", query)
        if span is None:
            # A query of Flagger's: the share of good answers in percent, or a time in ms.
            value = "20" if "histogram_quantile" in query else "100"
            found = f'{{"metric":{{}},"value":[{now},"{value}"]}}'
            self.asked_of += 1
            return _answer("vector", found)
        return _answer("matrix", ",".join(self._series(query, now, int(span[1]) / 1000)))

    def _series(self, query: str, now: float, span: float) -> list[str]:
        """One pod of each canary, ten requests a second, all good and within 10 ms."""
        metric = query.partition("{")[0]
        times = [
            at
            for at in range(int(now - span), int(now) + 1)
            if at % SCRAPE == 0 and at > now - span
        ]
        owners = _owners(query)
        self.asked_of += len(owners)
        values = ",".join(f'[{at},"{10 * (at % 10_000_000)}"]' for at in times)
        none = ",".join(f'[{at},"0"]' for at in times)
        each = [("envoy_response_code", "200", values)]
        if metric.endswith("_bucket"):
            each = [
                ("le", bound, values if index > 2 else none) for index, bound in enumerate(BOUNDS)
            ]
        return [
            f'{{"metric":{{"__name__":"{metric}","envoy_cluster_name":"localhost_9898",'
            f'"instance":"10.0.0.1:5670","job":"kuma-dataplanes","mesh":"default",'
            f'{owner},"{name}":"{value}"}},"values":[{samples}]}}'
            for owner in owners
            for name, value, samples in each
        ]


def _owners(query: str) -> list[str]:
    """The labels by which one tells whose a series is, for each canary that is asked about: the
    service tag, or in Kuma 3 the pod."""
    tags = set(re.findall(r"[a-z0-9-]+_[a-z0-9-]+_svc_", query))
    label = "kuma_io_service" if "kuma_io_service=~" in query else "service"
    if tags:
        return [f'"{label}":"{tag}9898"' for tag in tags]
    pods = re.search(r'namespace=~"([^"]+)",pod=~"([^"]+)"', query)
    names = re.findall(r"app-[0-9]+", pods[2]) if pods else ()
    return [f'"namespace":"{pods[1]}","pod":"{name}-7d9f6b5c4d-x2z4k"' for name in set(names)]


def _answer(kind: str, result: str) -> web.Response:
    return web.Response(
        text=f'{{"status":"success","data":{{"resultType":"{kind}","result":[{result}]}}}}',
        content_type="application/json",
    )
