"""The words in which the custom resources' fields are declared.

A field of a resource is declared once, as an attribute of a struct, with its sentence and its
schema beside it. Types, defaults, the CRD (`serinus.api.crd`), and the walk that checks a
resource (`serinus.api.walk`) all follow from that declaration.

What is declared here is what an API server is told. Decoding itself is lenient (an unknown enum
value is decoded as the string it is) so that `serinus.api.validation` can say in words what is
wrong, instead of the whole resource being unreadable.
"""

from typing import Annotated, Any

from msgspec import Meta


def doc(description: str, **schema: Any) -> Meta:
    """A field's sentence, and what its JSON schema says beyond the type (enum, pattern, ...)."""
    return Meta(description=description, extra_json_schema=schema or None)


def one_of(*names: str) -> list[dict[str, list[str]]]:
    """Schema alternatives: exactly one of the named properties is present."""
    return [{"required": [name]} for name in names]


def at_most_one_of(*names: str) -> list[dict[str, Any]]:
    """Schema alternatives: one of the named properties is present, or none."""
    return [{"not": {"anyOf": one_of(*names)}}, *one_of(*names)]


Whole = Annotated[int, Meta(extra_json_schema={"type": "number"})]
"""A whole number that Flagger's schema calls `number`; clients may rely on that name."""

Int32 = Annotated[int, Meta(extra_json_schema={"format": "int32"})]

DURATION = r"^[0-9]+(m|s)"
"""How Flagger's schema recognises a duration; it leaves the end open, so "1m30s" passes."""

GROUP = r"^$|^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
KIND = r"^[a-zA-Z]([-a-zA-Z0-9]*[a-zA-Z0-9])?$"
LABEL = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
SUBDOMAIN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
