"""Kubernetes' quantities: ``100m``, ``64Mi``, ``1.5``."""

_SUFFIXES = {
    "n": 1e-9,
    "u": 1e-6,
    "m": 1e-3,
    "": 1.0,
    "k": 1e3,
    "M": 1e6,
    "G": 1e9,
    "T": 1e12,
    "P": 1e15,
    "E": 1e18,
    "Ki": 2.0**10,
    "Mi": 2.0**20,
    "Gi": 2.0**30,
    "Ti": 2.0**40,
    "Pi": 2.0**50,
    "Ei": 2.0**60,
}


def parse_quantity(text: str) -> float:
    """The quantity as a number in its base unit (cores, bytes); raises ValueError."""
    number = text.rstrip("numkMGTPEKi")
    suffix = text[len(number) :]
    if suffix not in _SUFFIXES or number != number.strip():
        # An exponent such as 1e3 ends in a digit, so its "e" never lands here.
        raise ValueError(f"not a quantity: {text!r} (such as 100m, 64Mi or 2)")
    try:
        return float(number) * _SUFFIXES[suffix]
    except ValueError:
        raise ValueError(f"not a quantity: {text!r} (such as 100m, 64Mi or 2)") from None
