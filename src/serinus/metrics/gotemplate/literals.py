"""Numbers and strings as Go writes them."""

import math
import re

_SIMPLE = {"a": 7, "b": 8, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11, "\\": 92, '"': 34}
_ESCAPE = re.compile(
    r'\\(?:(?P<simple>[abfnrtv\\"])|(?P<octal>[0-7]{3})|x(?P<byte>[0-9a-fA-F]{2})'
    r"|u(?P<short>[0-9a-fA-F]{4})|U(?P<long>[0-9a-fA-F]{8}))|(?P<plain>[^\\]+)|(?P<wrong>\\)"
)
_INTEGER = re.compile(
    r"(?P<sign>[+-]?)(?:0[xX](?P<hex>[0-9a-fA-F]+)|0[bB](?P<bin>[01]+)|0[oO]?(?P<oct>[0-7]+)"
    r"|(?P<dec>0|[1-9][0-9]*))"
)
_FLOAT = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_BASES = {"hex": 16, "bin": 2, "oct": 8, "dec": 10}
_DIGITS = 400
"""A longer number is no 64-bit integer, and no float that anybody means."""


def number(text: str) -> int | float | None:
    """The constant's value: a float where it has a point or an exponent, else a 64-bit integer.
    None for what is neither (complex and hexadecimal floating-point numbers among it)."""
    plain = re.sub(r"(?<=[0-9a-fA-FxXbBoO])_(?=[0-9a-fA-F])", "", text)
    if len(plain) > _DIGITS:
        return None
    if whole := _INTEGER.fullmatch(plain):
        for kind, base in _BASES.items():
            if whole[kind]:
                value = int(whole["sign"] + whole[kind], base)
                return value if -(2**63) <= value < 2**63 else None
    if plain == text and _FLOAT.fullmatch(plain) and not plain.lstrip("+-").isdecimal():
        real = float(plain)
        return real if math.isfinite(real) else None
    return None


def quoted(inside: str) -> str | None:
    r"""What stands between double quotes, with its escapes replaced (``\n``, ``\"``, ``\x41``,
    ``\u00e4``); None when one of them makes no sense, or they make no text."""
    content = bytearray()
    for part in _ESCAPE.finditer(inside):
        kind = part.lastgroup or ""
        if kind == "plain":
            content += part[kind].encode(errors="surrogatepass")
        elif kind == "simple":
            content.append(_SIMPLE[part[kind]])
        elif kind in ("octal", "byte"):
            byte = int(part[kind], 8 if kind == "octal" else 16)
            if byte > 255:
                return None
            content.append(byte)
        elif kind in ("short", "long") and int(part[kind], 16) <= 0x10FFFF:
            content += chr(int(part[kind], 16)).encode(errors="surrogatepass")
        else:
            return None
    try:
        return content.decode()
    except UnicodeDecodeError:
        return None
