"""The AlertProvider: a chat service that alerts are sent to."""

from typing import Annotated

from serinus.api.fields import doc
from serinus.api.meta import ObjectMeta, SecretRef
from serinus.api.resource import Resource


class AlertProviderSpec(Resource, frozen=True, kw_only=True):
    """Where messages go. Exactly one of ``address`` and ``secret_ref`` says so."""

    type: Annotated[
        str,
        doc("Kind of the service.", enum=["slack", "msteams", "discord", "rocket", "gchat"]),
    ] = ""
    channel: Annotated[str, doc("Channel that messages are posted to; general when empty.")] = ""
    username: Annotated[str, doc("Name that messages are posted under; flagger when empty.")] = ""
    address: Annotated[str, doc("Address of the service's incoming webhook.")] = ""
    proxy: Annotated[str, doc("HTTP proxy on the way to the service.")] = ""
    secret_ref: Annotated[
        SecretRef | None,
        doc("Secret of its namespace, with the address, and a token where one is needed."),
    ] = None


class AlertProvider(Resource, frozen=True, kw_only=True):
    """The resource as the API server keeps it."""

    api_version: str = "flagger.app/v1beta1"
    kind: str = "AlertProvider"
    metadata: ObjectMeta
    spec: AlertProviderSpec
