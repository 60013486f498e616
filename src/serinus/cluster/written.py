"""What a write left behind, so that the caller can wait until its caches show it."""

from typing import NamedTuple

import msgspec

from serinus.cluster.resource import Resource


class Written(NamedTuple):
    """An object as a write of ours left it. ``namespace`` is None for cluster-scoped kinds."""

    resource: Resource
    namespace: str | None
    name: str
    resource_version: str


class _Meta(msgspec.Struct, rename="camel"):
    name: str
    resource_version: str
    namespace: str | None = None


class _Head(msgspec.Struct):
    metadata: _Meta


_head = msgspec.json.Decoder(_Head)


def written(resource: Resource, answer: bytes) -> Written:
    """What the server's ``answer`` to a create, patch or replace says was written."""
    meta = _head.decode(answer).metadata
    return Written(resource, meta.namespace, meta.name, meta.resource_version)
