"""The objects of one of Kuma's kinds that Serinus writes for canaries, wherever they stand.

Until Kuma 2.8 they have to be in the control plane's namespace; later they may be in the canary's.
After such an upgrade those of the old place are still there, and are taken away once the new ones
hold.
"""

import contextlib
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Generic

from serinus.api.canary import Canary
from serinus.api.meta import ObjectMeta
from serinus.api.problem import Problem
from serinus.cluster.cache import Cache, Change, Key
from serinus.cluster.client import Client
from serinus.cluster.errors import NotFound
from serinus.cluster.kinds import CANARIES
from serinus.cluster.ownership import owner_reference
from serinus.cluster.resource import Resource
from serinus.cluster.written import Written
from serinus.routing.kuma.addressing import Home
from serinus.routing.kuma.belonging import CANARY, MESH_LABEL, belongs, mark, owners_with
from serinus.routing.kuma.writing import Json, View, bring_about, collect, metadata_change
from serinus.routing.router import RoutingError

Marks = tuple[Mapping[str, str], Mapping[str, str]]
"""Labels and annotations that an object is to have, beside those of its mesh and its home."""


def desired(resource: Resource, canary: Canary, home: Home, marks: Marks, spec: Json) -> Json:
    """The object to create."""
    labels, annotations = _completed(canary, home, marks)
    metadata: Json = {
        "name": home.name,
        "namespace": home.namespace,
        "labels": labels,
        "annotations": annotations,
    }
    if home.owned:
        metadata["ownerReferences"] = [owner_reference(canary)]
    return {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": metadata,
        "spec": spec,
    }


def change_of(canary: Canary, home: Home, live: ObjectMeta, marks: Marks, spec: Json) -> Json:
    """The merge patch of what differs in the metadata, and of ``spec``, which does so already;
    empty when nothing does. Labels, annotations and owners of others stay."""
    metadata = metadata_change(live, *_completed(canary, home, marks))
    owners = owners_with(canary, live) if home.owned else None
    if owners is not None:
        metadata["ownerReferences"] = owners
    return {key: value for key, value in (("metadata", metadata), ("spec", spec)) if value}


class Objects(Generic[View]):
    """Those of one kind. Whose each is, is kept by subscription: a cache may hold thousands."""

    def __init__(self, client: Client, cache: Cache[View], decode: Callable[[bytes], View]) -> None:
        self.resource = cache.resource
        self._client = client
        self._cache = cache
        self._decode = decode
        self._keys: dict[str, set[Key]] = {}
        for view in cache.values():
            self._add(view)
        cache.subscribe(self._take)

    def live(self, home: Home) -> View | None:
        """The one that stands there, whosever it is."""
        return self._cache.get(home.namespace, home.name)

    def problems(self, canary: Canary, home: Home, path: str, instead: str) -> Iterator[Problem]:
        """Why this canary's cannot stand there: it is out of sight, or the name is taken.

        ``instead`` is what else a person can do about a name that is taken.
        """
        if self._cache.namespace not in (None, home.namespace):
            yield Problem(
                "metadata.namespace",
                f"this Kuma takes a {self.resource.kind} in its own namespace {home.namespace} "
                f"only, and this operator watches namespace {self._cache.namespace} alone; run it "
                "for all namespaces, or use Kuma 2.10 or newer",
            )
        live = self.live(home)
        if live is not None and not belongs(canary, live.metadata):
            yield Problem(
                path,
                f"{self.resource.kind} {home.name}.{home.namespace} {_whose(live.metadata)}; "
                f"delete or rename it, {instead}",
            )

    async def have(
        self, home: Home, body: Callable[[], Json], change: Callable[[View], Json]
    ) -> list[Written]:
        """Create ``body`` there, or merge in what ``change`` finds to be different.

        Raises `RoutingError` where there is no such namespace of Kuma's, else the API's error.
        """
        try:
            return await bring_about(
                self._client,
                self.resource,
                home.namespace,
                home.name,
                self.live(home),
                decode=self._decode,
                body=body,
                change=change,
            )
        except NotFound as error:
            if home.owned or error.details.get("kind") != "namespaces":
                raise
            raise RoutingError(
                f"this Kuma takes a {self.resource.kind} in the namespace of its control plane "
                f"only ({error}); tell the operator by -kuma-system-namespace which that is"
            ) from error

    async def remove(self, canary: Canary, *, but: Collection[Home] = ()) -> None:
        """Delete the canary's own, wherever they stand ``but`` for those at these homes."""
        kept = {(home.namespace, home.name) for home in but}
        whose = (*mark(canary).values(), canary.metadata.uid)
        keys = set().union(*(self._keys.get(one, ()) for one in whose)) - kept
        for namespace, name in sorted(keys):
            live = self._cache.get(namespace, name)
            if live is not None and belongs(canary, live.metadata):
                uid = live.metadata.uid or None
                with contextlib.suppress(NotFound):
                    await self._client.delete(self.resource, namespace, name, uid=uid)

    async def collect(self, exists: Callable[[str, str], bool]) -> None:
        """Delete those of canaries that do not exist."""
        await collect(self._client, self.resource, self._cache.values(), exists)

    def _take(self, change: Change[View]) -> None:
        if change.old is not None:
            for one in _owners(change.old.metadata):
                self._keys.get(one, set()).discard(change.key)
                if not self._keys.get(one):
                    self._keys.pop(one, None)
        if change.new is not None:
            self._add(change.new)

    def _add(self, view: View) -> None:
        meta = view.metadata
        for one in _owners(meta):
            self._keys.setdefault(one, set()).add((meta.namespace or "", meta.name))


def _completed(canary: Canary, home: Home, marks: Marks) -> tuple[dict[str, str], dict[str, str]]:
    labels, annotations = marks
    return {**labels, MESH_LABEL: canary.mesh, **home.labels}, dict(annotations)


def _owners(meta: ObjectMeta) -> Iterator[str]:
    """By what canaries know an object to be theirs: the mark, or their uid."""
    if CANARY in meta.annotations:
        yield meta.annotations[CANARY]
    for owner in meta.owner_references:
        if owner.kind == CANARIES.kind:
            yield owner.uid


def _whose(meta: ObjectMeta) -> str:
    namespace, _, name = meta.annotations.get(CANARY, "").partition("/")
    return f"is canary {name}.{namespace}'s" if name else "belongs to somebody else"
