"""From a template's text to tokens, as Go's `text/template` splits it.

https://pkg.go.dev/text/template, "Text and spaces" and "Actions": outside of ``{{ }}`` all is
text; ``{{- `` and `` -}}`` take the white space next to them away; ``{{/* */}}`` is a comment.
"""

import re
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Literal

from serinus.metrics.gotemplate.error import error_at
from serinus.metrics.gotemplate.literals import number, quoted

Kind = Literal[
    "text", "open", "close", "word", "field", "variable", "dot", "value", ":=", "=", "|", ",",
    "(", ")", "end",
]  # fmt: skip

SPACES = " \t\r\n"

_PUNCTUATION: tuple[Literal[":=", "=", "|", ",", "(", ")"], ...] = (":=", "=", "|", ",", "(", ")")
_WORD = re.compile(r"[^\W\d]\w*")
_FIELD = re.compile(r"\.([^\W\d]\w*)")
_VARIABLE = re.compile(r"\$\w*")
_NUMBER = re.compile(r"[+-]?(?:[0-9]|\.[0-9])(?:[eEpP][+-]|[\w.])*")
_QUOTED = re.compile(r'"(?:[^"\\\n]|\\[^\n])*"')
_RAW = re.compile(r"`[^`]*`")
_AFTER_NAME = SPACES + ".,|:=()"


@dataclass(frozen=True, slots=True)
class Token:
    """``at`` is where it begins, in characters. ``spaced`` tells that white space is before it:
    ``x.y`` is a field of x, ``x .y`` is two things."""

    kind: Kind
    at: int
    text: str = ""
    value: str | int | float | bool = ""
    spaced: bool = False


def tokens(text: str) -> Iterator[Token]:
    """All tokens of a template, the last of kind ``end``. Raises `TemplateError`."""
    position, trim = 0, False
    while True:
        start = position
        position = text.find("{{", start)
        piece = text[start:] if position < 0 else text[start:position]
        if trim:
            stripped = piece.lstrip(SPACES)
            start, piece = start + len(piece) - len(stripped), stripped
        if position < 0:
            if piece:
                yield Token("text", start, piece)
            break
        inside = position + 2
        if text.startswith("-", inside) and text[inside + 1 : inside + 2] in tuple(SPACES):
            piece = piece.rstrip(SPACES)
            inside += 2
        if piece:
            yield Token("text", start, piece)
        if text.startswith("/*", inside):
            position, trim = _comment(text, position, inside)
        else:
            yield Token("open", position)
            position, trim = yield from _action(text, position, inside)
    yield Token("end", len(text))


def _comment(text: str, opened: int, position: int) -> tuple[int, bool]:
    """Where it goes on after a comment, and whether the white space there is trimmed."""
    end = text.find("*/", position + 2)
    if end < 0:
        raise error_at(text, opened, "unclosed comment")
    closed = _close(text, end + 2)
    if closed is None:
        raise error_at(text, opened, "a comment must fill its {{ }} from /* to */")
    return closed


def _close(text: str, position: int) -> tuple[int, bool] | None:
    """As `_comment`, if the action is closed at this place."""
    if text.startswith("}}", position):
        return position + 2, False
    if text[position : position + 1] in tuple(SPACES) and text.startswith("-}}", position + 1):
        return position + 4, True
    return None


def _action(text: str, opened: int, position: int) -> Generator[Token, None, tuple[int, bool]]:
    """What is between the delimiters; it returns as `_comment` does."""
    spaced, depth = False, 0
    while (closed := _close(text, position)) is None:
        if position >= len(text):
            raise error_at(text, opened, "unclosed action")
        if text[position] in SPACES:
            position, spaced = position + 1, True
            continue
        token, position = _token(text, position, spaced)
        depth += {"(": 1, ")": -1}.get(token.kind, 0)
        if depth < 0:
            raise error_at(text, token.at, 'unexpected ")"')
        yield token
        spaced = False
    if depth:
        raise error_at(text, position, 'unclosed "("')
    yield Token("close", position)
    return closed


def _token(text: str, at: int, spaced: bool) -> tuple[Token, int]:
    """The token that begins here, and where it ends."""
    if literal := _literal(text, at, spaced):
        return literal
    if match := _VARIABLE.match(text, at):
        return _named(text, Token("variable", at, match[0], spaced=spaced), match.end())
    if match := _FIELD.match(text, at):
        return _named(text, Token("field", at, match[1], spaced=spaced), match.end())
    if text[at] == ".":
        return _named(text, Token("dot", at, ".", spaced=spaced), at + 1)
    if match := _WORD.match(text, at):
        word = match[0]
        if word in ("true", "false"):
            return _named(text, Token("value", at, word, word == "true", spaced), match.end())
        return _named(text, Token("word", at, word, spaced=spaced), match.end())
    for mark in _PUNCTUATION:
        if text.startswith(mark, at):
            return Token(mark, at, mark, spaced=spaced), at + len(mark)
    raise error_at(text, at, f'unexpected "{text[at]}"')


def _literal(text: str, at: int, spaced: bool) -> tuple[Token, int] | None:
    """A number or a string, if that is what begins here."""
    value: str | int | float | None
    if match := _NUMBER.match(text, at):
        value, wrong = number(match[0]), "is not a number"
    elif match := _QUOTED.match(text, at):
        value, wrong = quoted(match[0][1:-1]), "holds an escape that makes no sense"
    elif match := _RAW.match(text, at):
        value, wrong = match[0][1:-1].replace("\r", ""), ""
    elif text[at] in '"`':
        raise error_at(text, at, "unterminated string")
    else:
        return None
    if value is None:
        raise error_at(text, at, f"{match[0]} {wrong}")
    return Token("value", at, match[0], value, spaced), match.end()


def _named(text: str, token: Token, end: int) -> tuple[Token, int]:
    """The same, unless something is stuck to the name that cannot be part of it."""
    if end < len(text) and text[end] not in _AFTER_NAME and not text.startswith("}}", end):
        raise error_at(text, end, f'unexpected "{text[end]}" after "{token.text}"')
    return token, end
