"""Kubernetes quantities: ``100m``, ``1.5``, ``64Mi``, ``2e3``."""

import re
from decimal import ROUND_CEILING, Decimal
from typing import Any, Final

QUANTITY: Final = "io.k8s.apimachinery.pkg.api.resource.Quantity"

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


_DECIMAL: Final = {18: "E", 15: "P", 12: "T", 9: "G", 6: "M", 3: "k", 0: "", -3: "m", -6: "u"}
_BINARY: Final = ("", *(f"{suffix}i" for suffix in "KMGTPE"))


def canonical(value: Any) -> Any:
    """The one way in which the API server writes a quantity: ``1000m`` is ``1``, ``1024Mi`` is
    ``1Gi``. What is no quantity is left as it is."""
    number = parse_quantity(value)
    if number is None:
        return value
    form = _FORM.fullmatch(str(value))
    suffix = (form[2] if form else "") or ""
    if suffix.endswith("i") and abs(number) >= 1024:
        whole, power = int(number.to_integral_value(ROUND_CEILING)), 0
        while whole % 1024 == 0 and power < len(_BINARY) - 1:
            whole, power = whole // 1024, power + 1
        return f"{whole}{_BINARY[power]}"
    if not number:
        return "0"
    for exponent, unit in _DECIMAL.items():
        scaled = number.scaleb(-exponent)
        if scaled == scaled.to_integral_value():
            written = f"e{exponent}" if suffix[:1] in ("e", "E") and exponent else unit
            return f"{int(scaled)}{written}"
    return f"{int(number.scaleb(9).to_integral_value(ROUND_CEILING))}n"


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
