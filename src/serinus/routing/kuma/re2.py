"""Whether a regular expression is one that Envoy's RE2 compiles.

Kuma passes expressions on unread. A caller's Envoy refuses the *whole* configuration that holds one
that it cannot compile, and goes on with an old one, deaf to every later change. So what RE2 would
not take must not get into a route. Python's own `re` cannot judge it: the two dialects differ both
ways.
"""

import re

_GROUP = re.compile(r"\(\?(?:P?<\w+>|[imsU]*(?:-[imsU]+)?(?P<end>[:)]))")
_COUNT = re.compile(r"\{(\d+)(,(\d*))?\}")
_NAMED = re.compile(r"\[:\^?\w+:\]")
_ESCAPES = "AaBbCDdfnPpQrSstvWwxz"

MOST = 1000
"""The highest count of a repetition that RE2 takes."""


def fault(pattern: str) -> str | None:
    """What RE2 would not take, in words; None when nothing is known to be wrong.

    It is a check of the syntax's frame (groups, classes, repetitions, which escapes there are and
    what RE2 leaves out on purpose), not of ranges and names within a class.
    """
    scan = _Scan(pattern)
    while scan.at < len(pattern):
        found = scan.step()
        if found is not None:
            return found
    return "a group ( is not closed" if scan.depth else None


class _Scan:
    """Where one reading of a pattern is: position, open groups, and whether what was read last
    may be repeated."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self.at = 0
        self.depth = 0
        self._repeatable = False

    def step(self) -> str | None:
        """Read one element; what is wrong with it."""
        match self._pattern[self.at]:
            case "\\":
                return self._escape()
            case "[":
                return self._class()
            case "(":
                return self._group()
            case ")":
                self.depth -= 1
                if self.depth < 0:
                    return "a ) closes no group"
                self._pass(1, repeatable=True)
            case "|":
                self._pass(1, repeatable=False)
            case "*" | "+" | "?":
                return self._repeat(1)
            case "{" if count := _COUNT.match(self._pattern, self.at):
                numbers = [int(number) for number in (count[1], count[3]) if number]
                if max(numbers) > MOST or numbers != sorted(numbers):
                    return f"{count[0]} is no repetition of at most {MOST} times"
                return self._repeat(len(count[0]))
            case _:
                self._pass(1, repeatable=True)
        return None

    def _pass(self, length: int, *, repeatable: bool) -> None:
        self.at += length
        self._repeatable = repeatable

    def _escape(self) -> str | None:
        escaped = self._pattern[self.at + 1 : self.at + 2]
        if not escaped:
            return "it ends in a backslash"
        if escaped in "123456789":
            return f"it has a back reference \\{escaped}"
        if escaped.isalpha() and escaped not in _ESCAPES:
            return f"it has \\{escaped}, which RE2 does not know"
        if escaped == "Q":
            end = self._pattern.find("\\E", self.at)
            self._pass((len(self._pattern) if end < 0 else end + 2) - self.at, repeatable=True)
        else:
            self._pass(2, repeatable=True)
        return None

    def _class(self) -> str | None:
        at = self.at + 1
        at += self._pattern.startswith("^", at)
        first = at
        while at < len(self._pattern):
            if self._pattern[at] == "]" and at > first:
                self._pass(at + 1 - self.at, repeatable=True)
                return None
            named = _NAMED.match(self._pattern, at)
            at += len(named[0]) if named else 2 if self._pattern[at] == "\\" else 1
        return "a class [ is not closed"

    def _group(self) -> str | None:
        length, closed = 1, False
        if self._pattern.startswith("(?", self.at):
            known = _GROUP.match(self._pattern, self.at)
            if known is None:
                text = self._pattern[self.at : self.at + 4]
                return f"it has a group {text}..., such as a look-around, that RE2 leaves out"
            length, closed = len(known[0]), known["end"] == ")"
        self.depth += not closed
        # Flags alone, as in (?i), are no element of their own: what stands before may be repeated.
        self._pass(length, repeatable=closed and self._repeatable)
        return None

    def _repeat(self, length: int) -> str | None:
        operator = self._pattern[self.at : self.at + length]
        if not self._repeatable:
            return f"{operator} has nothing to repeat"
        lazy = self._pattern.startswith("?", self.at + length)
        self._pass(length + lazy, repeatable=False)
        return None
