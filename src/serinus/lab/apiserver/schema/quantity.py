"""Kubernetes quantities: ``100m``, ``1.5``, ``64Mi``, ``2e3``."""

import re
from decimal import Decimal
from typing import Any, Final

_FORM: Final = re.compile(
    r"([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+))([eE][+-]?[0-9]+|[numkMGTPE]|[KMGTPE]i)?"
)
_SUFFIXES: Final = {
    "": Decimal(1),
    **{suffix: Decimal(1000) ** power for power, suffix in enumerate("kMGTPE", start=1)},
    **{suffix: Decimal(1000) ** -power for power, suffix in enumerate("mun", start=1)},
    **{f"{suffix}i": Decimal(1024) ** power for power, suffix in enumerate("KMGTPE", start=1)},
}

MUST_MATCH: Final = (
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
)


def parse_quantity(value: Any) -> Decimal | None:
    """The number that is meant; None if it is no quantity."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return Decimal(str(value))
    found = _FORM.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        return None
    number, suffix = Decimal(found[1]), found[2] or ""
    if suffix[:1] in ("e", "E") and len(suffix) > 1 and not suffix.endswith("i"):
        return number.scaleb(int(suffix[1:]))
    return number * _SUFFIXES[suffix]
