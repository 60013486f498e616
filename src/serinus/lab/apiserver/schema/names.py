"""The forms that names may have. Each check returns what is wrong, in Kubernetes' words."""

import re
from collections.abc import Callable
from typing import Final

Check = Callable[[str], list[str]]

_LABEL: Final = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN: Final = _LABEL + r"(\." + _LABEL + ")*"
_LABEL_1035: Final = "[a-z]([-a-z0-9]*[a-z0-9])?"
_QUALIFIED: Final = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_CONFIG_KEY: Final = "[-._a-zA-Z0-9]+"


def _matches(pattern: str, text: str) -> bool:
    return re.fullmatch(pattern, text) is not None


def _rule(message: str, pattern: str, *examples: str) -> str:
    shown = ",  or ".join(f"'{example}'" for example in examples)
    return f"{message} (e.g. {shown}, regex used for validation is '{pattern}')"


def _check(pattern: str, limit: int, message: str, unit: str = "bytes") -> Check:
    def check(text: str) -> list[str]:
        wrong = []
        if len(text) > limit:
            wrong.append(f"must be no more than {limit} {unit}")
        if not _matches(pattern, text):
            wrong.append(message)
        return wrong

    return check


dns_label: Final = _check(
    _LABEL,
    63,
    _rule(
        "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', "
        "and must start and end with an alphanumeric character",
        *(_LABEL, "my-name", "123-abc"),
    ),
)
dns_subdomain: Final = _check(
    _SUBDOMAIN,
    253,
    _rule(
        "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' "
        "or '.', and must start and end with an alphanumeric character",
        *(_SUBDOMAIN, "example.com"),
    ),
)
dns_1035_label: Final = _check(
    _LABEL_1035,
    63,
    _rule(
        "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with "
        "an alphabetic character, and end with an alphanumeric character",
        *(_LABEL_1035, "my-name", "abc-123"),
    ),
)
config_key: Final = _check(
    _CONFIG_KEY,
    253,
    _rule(
        "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
        *(_CONFIG_KEY, "key.name", "KEY_NAME", "key-name"),
    ),
)
label_value: Final = _check(
    f"({_QUALIFIED})?",
    63,
    _rule(
        "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' "
        "or '.', and must start and end with an alphanumeric character",
        *(f"({_QUALIFIED})?", "MyValue", "my_value", "12345"),
    ),
)
_NAME_LIMIT: Final = 63

_name_part: Final = _check(
    _QUALIFIED,
    _NAME_LIMIT,
    _rule(
        "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and "
        "end with an alphanumeric character",
        *(_QUALIFIED, "MyName", "my.name", "123-abc"),
    ),
)


def qualified_name(text: str) -> list[str]:
    """A label's or annotation's key: a name, or a DNS subdomain, a slash and a name."""
    prefix, slash, name = text.rpartition("/")
    if not slash:
        name = text
    elif "/" in prefix:
        return [
            "a valid label key must consist of alphanumeric characters, '-', '_' or '.', and must "
            "start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or "
            f"'123-abc', regex used for validation is '{_QUALIFIED}') with an optional DNS "
            "subdomain prefix and '/' (e.g. 'example.com/MyName')"
        ]
    wrong = []
    if slash:
        wrong += (
            [f"prefix part {message}" for message in dns_subdomain(prefix)]
            if prefix
            else ["prefix part must be non-empty"]
        )
    if not name:
        wrong.append("name part must be non-empty")
    if len(name) > _NAME_LIMIT:
        wrong.append(f"name part must be no more than {_NAME_LIMIT} bytes")
    return [*wrong, *(message for message in _name_part(name) if message.startswith("name part"))]


def path_segment(text: str) -> list[str]:
    """A name that is only ever part of an address: roles and their bindings."""
    if text in (".", ".."):
        return [f"may not be '{text}'"]
    return [f"may not contain '{character}'" for character in "/%" if character in text]


def port_name(text: str) -> list[str]:
    """An IANA service name."""
    wrong = []
    if len(text) > 15:
        wrong.append("must be no more than 15 characters")
    if not _matches("[-a-z0-9]+", text):
        wrong.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not re.search("[a-z]", text):
        wrong.append("must contain at least one letter (a-z)")
    if "--" in text:
        wrong.append("must not contain consecutive hyphens")
    if text.startswith("-") or text.endswith("-"):
        wrong.append("must not begin or end with a hyphen")
    return wrong
