"""The metadata that every Kubernetes object carries, as far as Serinus reads it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated

from msgspec import field

from serinus.api.fields import doc
from serinus.api.resource import Resource


class OwnerReference(Resource, frozen=True, kw_only=True):
    """The object that this one belongs to and is collected with."""

    api_version: str
    kind: str
    name: str
    uid: str
    controller: bool | None = None
    block_owner_deletion: bool | None = None


class ObjectMeta(Resource, frozen=True, kw_only=True):
    """`metadata` of an object. ``generation`` counts changes of the spec, 0 when not given."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    generation: int = 0
    resource_version: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    finalizers: tuple[str, ...] = ()
    deletion_timestamp: datetime | None = None
    creation_timestamp: datetime | None = None
    owner_references: tuple[OwnerReference, ...] = ()


class SecretRef(Resource, frozen=True, kw_only=True):
    """A Secret by name, in the namespace of the resource that names it."""

    name: Annotated[str, doc("Name of the Secret.")]
