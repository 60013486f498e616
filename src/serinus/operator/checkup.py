"""Whether a cluster is fit for its canaries: what an operator would find there now.

The parts are put together as the operator does it, over caches that are filled once and by a client
that cannot write. ConfigMaps and Secrets are not read.
"""

import asyncio
import contextlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, TypeGuard
from urllib.parse import urlsplit

import aiohttp

from serinus.analysis.verdict import Unavailable
from serinus.api.analysis import Analysis
from serinus.api.canary import MESH, Canary, CanarySpec, Phase, TargetRef
from serinus.api.decode import Malformed, decode_canary
from serinus.api.meta import ObjectMeta
from serinus.api.problem import Problem
from serinus.cluster.cache import Cache
from serinus.cluster.client import Client
from serinus.cluster.errors import NotFound
from serinus.cluster.kinds import CANARIES, HTTPROUTES
from serinus.cluster.served import serves
from serinus.executor.claims import Claims
from serinus.metrics.presence import ONLINE, obstacle
from serinus.metrics.prometheus import Prometheus
from serinus.metrics.signals import World as Series
from serinus.operator.assembly import Parts, assemble
from serinus.operator.installation import (
    OPERATORS,
    Operator,
    control_planes,
    era,
    kubernetes,
    operators,
    outdated_crds,
    sidecars,
)
from serinus.operator.settings import Settings
from serinus.routing.kuma.dialect import ANNOTATION, MESHES, Choice, Dialect
from serinus.routing.kuma.discovery import KumaKinds, discover
from serinus.routing.kuma.views import MeshView
from serinus.routing.providers import KUMA
from serinus.workload.scaledobject import serves_scaled_objects

Canaries = Cache[Canary | Malformed]


@dataclass(frozen=True, slots=True)
class ToMend:
    """Something that keeps a rollout from going well: the field, what is wrong, what helps."""

    field: str
    message: str


@dataclass(frozen=True, slots=True)
class MeshReport:
    """A Mesh: which dialect is written in it and why; ``prometheus`` is what is known there of its
    sidecars, empty when nobody could be asked."""

    name: str
    mode: str
    dialect: str
    why: str
    prometheus: str
    to_mend: tuple[ToMend, ...]


@dataclass(frozen=True, slots=True)
class CanaryReport:
    """A Canary. ``chosen_by`` is the annotation by which a person chose its dialect, or empty.
    ``to_mend`` keeps it from being rolled out at all, ``unprepared`` from getting traffic now."""

    namespace: str
    name: str
    mesh: str
    phase: str
    dialect: str
    chosen_by: str
    to_mend: tuple[ToMend, ...]
    unprepared: tuple[ToMend, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """A cluster. ``kuma`` is the range of releases that have these CRDs."""

    kubernetes: str
    kuma: str
    control_planes: tuple[str, ...]
    sidecars: dict[str, int]
    crds: tuple[str, ...]
    operators: tuple[str, ...]
    metrics_server: str
    meshes: tuple[MeshReport, ...]
    canaries: tuple[CanaryReport, ...]
    to_mend: tuple[ToMend, ...]

    @property
    def count(self) -> int:
        """How many things there are to mend."""
        parts = [one.to_mend for one in self.meshes]
        parts += [one.to_mend + one.unprepared for one in self.canaries]
        return len(self.to_mend) + sum(map(len, parts))


async def examine(
    client: Client, namespace: str | None, names: Collection[str], metrics_server: str
) -> Report:
    """Look at the cluster, and at the canaries of a namespace (None for all), or of those at the
    named ones alone. ``metrics_server`` is Prometheus as it is reached from here; empty for the
    operator's, through the API server.

    Raises `ApiError` and `Unreachable`.
    """
    version, found = await asyncio.gather(kubernetes(client), operators(client))
    settings = found[0].settings if found else Settings()
    kinds = await discover(client, system_namespace=settings.kuma_system_namespace)
    canaries = Cache(client, CANARIES, decode_canary, namespace=namespace)
    await _fill([canaries])
    chosen = [one for one in canaries.values() if not names or one.name in names]
    async with _session(client) as session:
        parts = await _assembled(client, session, canaries, kinds, settings, namespace)
        asked = _Asked(client, session, metrics_server, settings, found[0].name if found else "")
        meshes = {mesh.metadata.name for mesh in _meshes(parts)}
        used = {one.mesh for one in chosen if _is_meshed(one, settings)}
        return Report(
            kubernetes=version,
            kuma=era(kinds),
            control_planes=tuple(await control_planes(client)),
            sidecars=dict(await sidecars(client, [one.namespace for one in chosen])),
            crds=tuple(sorted(kinds.crds)),
            operators=tuple(f"{one.name} ({one.image})" for one in found),
            metrics_server=asked.address,
            meshes=tuple([await _mesh(parts, one, asked) for one in sorted(meshes | used)]),
            canaries=tuple(_canary(parts, one) for one in sorted(chosen, key=_named)),
            to_mend=tuple(_installation(found, await outdated_crds(client), kinds)),
        )


def _installation(
    found: Sequence[Operator], outdated: Mapping[str, str], kinds: KumaKinds
) -> Iterator[ToMend]:
    if MESHES not in kinds.crds:
        yield ToMend(MESHES, "there is no such CRD, so this cluster has no Kuma; install it")
    for name, wrong in outdated.items():
        yield ToMend(name, f"{wrong}; apply what `serinus crds` prints")
    if not found:
        message = (
            f"no Deployment with the label {OPERATORS} is to be seen, so its flags are taken to be "
            "the defaults; install the operator"
        )
        yield ToMend("operator", message)
    for one in found:
        if one.wrong:
            yield ToMend(f"operator {one.name}", one.wrong)


async def _assembled(
    client: Client,
    session: aiohttp.ClientSession,
    canaries: Canaries,
    kinds: KumaKinds,
    settings: Settings,
    namespace: str | None,
) -> Parts:
    """The operator's parts, with what the cluster holds now."""
    parts = assemble(
        replace(settings, namespace=namespace or "", config_tracking=False),
        client,
        session,
        Claims(canaries),
        kinds,
        lambda: False,
        keda=await serves_scaled_objects(client),
        gateway_api=await serves(client, HTTPROUTES),
    )
    await _fill(parts.watched)
    return parts


async def _fill(caches: Iterable[Cache[Any]]) -> None:
    for cache in caches:
        # Of a kind that the cluster has not, there are no objects.
        with contextlib.suppress(NotFound):
            await cache.catch_up()


async def _mesh(parts: Parts, name: str, asked: "_Asked") -> MeshReport:
    choice = parts.routers.kuma.choice(_anybody(name))
    live = next((mesh for mesh in _meshes(parts) if mesh.metadata.name == name), None)
    mode = live.mesh_services_mode if live is not None else "unknown"
    if isinstance(choice, Problem):
        return MeshReport(name, mode, "", "", "", (_to_mend(choice),))
    series: Series = "kuma-3" if choice.dialect is Dialect.LABELS else "kuma-2"
    told, wrong = await asked.about(series, name)
    missing = (ToMend("Prometheus", told),) if wrong else ()
    # Kuma 3 has no such mode: there are always MeshServices.
    mode = "Exclusive" if choice.dialect is Dialect.LABELS else mode
    return MeshReport(name, mode, choice.dialect.value, choice.why, told, missing)


def _canary(parts: Parts, canary: Canary | Malformed) -> CanaryReport:
    if isinstance(canary, Malformed):
        wrong = (_to_mend(canary.problem),)
        return CanaryReport(canary.namespace, canary.name, "", "", "", "", wrong, ())
    choice = parts.routers.kuma.choice(canary)
    meshed = parts.routers.provider(canary) == KUMA
    dialect = choice.dialect.value if meshed and isinstance(choice, Choice) else ""
    world = parts.observer.world(canary, datetime.now(UTC), due=False)
    found = [_to_mend(problem) for problem in world.problems]
    if world.target is None:
        target = canary.spec.target_ref
        message = f"{target.kind} {target.name}.{canary.namespace} does not exist; create it"
        found.append(ToMend("spec.targetRef.name", message))
    # Until a first tick has made the Services there is nothing that Kuma could know of them.
    begun = canary.status.phase not in (Phase.NONE, Phase.INITIALIZING)
    unprepared = parts.routers.preflight(canary) if begun and not world.problems else ()
    return CanaryReport(
        canary.namespace,
        canary.name,
        canary.mesh if meshed else "",
        canary.status.phase.value,
        dialect,
        canary.metadata.annotations.get(ANNOTATION, ""),
        tuple(found),
        tuple(map(_to_mend, unprepared)),
    )


class _Asked:
    """A Prometheus: the one at ``told``, as it is reached from here, or else the one of the
    ``operator`` (namespace and name), through the API server."""

    def __init__(
        self,
        client: Client,
        session: aiohttp.ClientSession,
        told: str,
        settings: Settings,
        operator: str,
    ) -> None:
        self.address = told or settings.metrics_server
        self._client = client
        self._session = session
        self._told = bool(told)
        self._namespace = operator.partition("/")[0]

    async def about(self, series: Series, mesh: str) -> tuple[str, bool]:
        """What it says of a mesh's sidecars, in words, and whether that is something to mend."""
        headers: Mapping[str, str] = {}
        address: str | None = self.address
        if not self._told:
            server = self._client.connection.server
            address = proxied(server, self.address, self._namespace)
            headers = await self._client.connection.headers()
        if address is None:
            return f"not asked: {self.address} is no Service; tell --metrics-server", False
        prometheus = Prometheus(address, self._session, headers=headers.items())
        online = await prometheus.instant(ONLINE)
        if isinstance(online, Unavailable):
            # That this person cannot reach it does not say that the operator cannot.
            return f"not reached: {online.why}; tell --metrics-server", self._told
        wrong = await obstacle(prometheus, series, mesh)
        return wrong or f"has series of the sidecars of mesh {mesh}", wrong is not None


def proxied(server: str, address: str, own: str) -> str | None:
    """The URL of an address `http://SERVICE.NAMESPACE:PORT` within the cluster, by way of its API
    server; None for an address that is none of a Service. ``own`` is the namespace of who goes by
    it, for a bare name; empty when that is not known."""
    parts = urlsplit(address)
    name, _, rest = (parts.hostname or "").partition(".")
    namespace, _, domain = (rest or own).partition(".")
    if not namespace or domain not in ("", "svc", "svc.cluster.local"):
        return None
    port = parts.port or (443 if parts.scheme == "https" else 80)
    scheme = "https" if parts.scheme == "https" else "http"
    service = f"{scheme}:{name}:{port}"
    return f"{server}/api/v1/namespaces/{namespace}/services/{service}/proxy{parts.path}"


def _session(client: Client) -> aiohttp.ClientSession:
    """One that trusts whom the client trusts."""
    trust = client.connection.ssl
    connector = aiohttp.TCPConnector(ssl=trust if trust is not None else True)
    return aiohttp.ClientSession(connector=connector)


def _anybody(mesh: str) -> Canary:
    """A canary of a mesh that asks for nothing in particular."""
    return Canary(
        metadata=ObjectMeta(name="anybody", namespace="default", annotations={MESH: mesh}),
        spec=CanarySpec(
            target_ref=TargetRef(api_version="apps/v1", kind="Deployment", name="anybody"),
            analysis=Analysis(),
        ),
    )


def _meshes(parts: Parts) -> Iterable[MeshView]:
    return parts.meshes.values() if parts.meshes is not None else ()


def _is_meshed(canary: Canary | Malformed, settings: Settings) -> TypeGuard[Canary]:
    if isinstance(canary, Malformed):
        return False
    return (canary.spec.provider or settings.mesh_provider) == KUMA


def _named(canary: Canary | Malformed) -> tuple[str, str]:
    return canary.namespace, canary.name


def _to_mend(problem: Problem) -> ToMend:
    return ToMend(problem.path, problem.message)
