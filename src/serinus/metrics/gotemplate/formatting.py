"""How Go's `fmt` writes values."""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal

from serinus.metrics.gotemplate.nodes import Value

WIDEST = 1000
"""The most that a verb's width or precision may be."""

_VERB = re.compile(
    r"(?P<text>[^%]+)|%(?P<flags>[-+# 0]*)(?P<width>[0-9]*)(?P<point>\.(?P<precision>[0-9]*))?"
    r"(?P<verb>[^0-9])|(?P<wrong>%)",
    re.DOTALL,
)
_ESCAPES = {
    "\a": "\\a",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\v": "\\v",
    "\\": "\\\\",
    '"': '\\"',
}


def show(value: Value) -> str:
    """As ``{{ }}`` and ``%v`` write it. Raises ValueError for what no query can hold."""
    match value:
        case None:
            raise ValueError("there is nothing to print")
        case bool():
            return "true" if value else "false"
        case int() | str():
            return str(value)
        case float():
            return _shortest(value)
    raise ValueError("a map cannot be printed; name one of its entries")


def sprintf(form: str, arguments: Sequence[Value]) -> str:
    """``arguments`` written into ``form``. Raises ValueError where they do not fit each other."""
    parts: list[str] = []
    used = 0
    for piece in _VERB.finditer(form):
        if piece["text"]:
            parts.append(piece["text"])
        elif piece["verb"] == "%" and piece[0] == "%%":
            parts.append("%")
        elif piece["wrong"]:
            raise ValueError("printf has a % without a verb")
        elif used == len(arguments):
            raise ValueError(f"printf has no argument for {piece[0]}")
        else:
            parts.append(_verb(piece, arguments[used]))
            used += 1
    if used < len(arguments):
        raise ValueError(f"printf has too many arguments ({len(arguments) - used})")
    return "".join(parts)


def _verb(piece: re.Match[str], value: Value) -> str:
    verb, flags = piece["verb"], piece["flags"]
    for number in (piece["width"], piece["precision"]):
        if number and (len(number) > 4 or int(number) > WIDEST):
            raise ValueError(f"printf cannot write {number} characters; {WIDEST} are the most")
    match verb, value:
        case "d" | "x", int() if not isinstance(value, bool):
            return _filled(piece, value, "+- 0#" if verb == "x" else "+- 0")
        case "e" | "f" | "g", float() if verb != "g" or piece["point"]:
            return _filled(piece, value, "+- 0")
        case "g", float():
            return _padded(piece, _shortest(value))
        case "v", str() | int() | float():
            if piece["point"] and isinstance(value, float):
                raise ValueError("printf knows no precision for %v; use %f or %g")
            return _padded(piece, _cut(piece, show(value)))
        case "s" | "q", str():
            text = _cut(piece, value)
            return _padded(piece, _quote(text) if verb == "q" else text)
        case "t", bool() if not piece["point"]:
            return _padded(piece, show(value))
    if isinstance(value, Mapping):
        raise ValueError(f"printf {piece[0]} cannot write a map; name one of its entries")
    if verb not in "defgqstvx":
        raise ValueError(f'printf knows no "{piece[0]}"; use %s, %q, %v, %d, %x, %f, %e, %g, %t')
    shown = "nothing" if value is None else show(value)
    raise ValueError(f'printf "{"%" + flags + verb}" cannot write {shown}')


def _filled(piece: re.Match[str], value: float, allowed: str) -> str:
    """By Python's own %, which writes numbers as Go does."""
    if set(piece["flags"]) - set(allowed):
        raise ValueError(f'printf knows no "{piece[0]}"')
    return piece[0] % value


def _padded(piece: re.Match[str], text: str) -> str:
    if set(piece["flags"]) - {"-"}:
        raise ValueError(f'printf knows no "{piece[0]}"')
    width = int(piece["width"] or 0)
    return text.ljust(width) if piece["flags"] else text.rjust(width)


def _cut(piece: re.Match[str], text: str) -> str:
    return text[: int(piece["precision"] or 0)] if piece["point"] else text


def _shortest(value: float) -> str:
    """The fewest digits that tell this float from all others; with an exponent where that is
    below -4 or above 5, as Go has it."""
    exact = Decimal(repr(value))
    exponent = exact.adjusted()
    if not value or -4 <= exponent < 6:
        return repr(value).removesuffix(".0")
    digits = "".join(map(str, exact.as_tuple().digits)).rstrip("0")
    mantissa = f"{digits[0]}.{digits[1:]}".removesuffix(".")
    sign = "-" if value < 0 else ""
    return f"{sign}{mantissa}e{'-' if exponent < 0 else '+'}{abs(exponent):02}"


def _quote(text: str) -> str:
    return '"' + "".join(_escaped(character) for character in text) + '"'


def _escaped(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    if character.isprintable():
        return character
    point = ord(character)
    if point < 0x80:
        return f"\\x{point:02x}"
    return f"\\u{point:04x}" if point < 0x10000 else f"\\U{point:08x}"
