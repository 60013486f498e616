"""The base of every struct of the API: frozen, camelCase on the wire, defaults left out."""

import msgspec


class Resource(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """An object of the Kubernetes API. Fields that it does not declare are skipped on decoding."""
