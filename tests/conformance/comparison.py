"""What was recorded of the real server, and where another's answers differ from it."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

RECORDED = Path(__file__).with_name("recorded")

ABSENT = "(absent)"


@dataclass(frozen=True)
class Difference:
    """The lab knowingly answers otherwise: why, and where. A place is ``CASE PATH``, a pattern of
    the shell: ``patches/json_* 1.told.message``."""

    reason: str
    places: tuple[str, ...]

    def covering(self, case: str, where: str) -> str | None:
        """The place that covers this difference."""
        found = (one for one in self.places if fnmatchcase(f"{case} {where}", one))
        return next(found, None)


def recorded(case: str) -> list[Any] | None:
    """What the real server answered; None when the case is new."""
    subject, _, name = case.partition("/")
    file = RECORDED / f"{subject}.json"
    return json.loads(file.read_text()).get(name) if file.exists() else None


def record(case: str, answers: list[Any]) -> None:
    """Keep the answers of the real server: one line each, so that a change can be read."""
    subject, _, name = case.partition("/")
    file = RECORDED / f"{subject}.json"
    file.parent.mkdir(exist_ok=True)
    kept = json.loads(file.read_text()) if file.exists() else {}
    kept[name] = answers
    cases = [
        f"{json.dumps(one)}: [\n" + ",\n".join(json.dumps(entry) for entry in kept[one]) + "\n]"
        for one in sorted(kept)
    ]
    file.write_text("{\n" + ",\n".join(cases) + "\n}\n")


def differences(expected: list[Any], found: list[Any]) -> Iterator[tuple[str, Any, Any]]:
    """Each place where the two differ, as (path, expected, found): ``0.told.metadata.name``."""
    yield from _compare(expected, found, "")


def _compare(expected: Any, found: Any, path: str) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(expected, dict) and isinstance(found, dict):
        for key in sorted({*expected, *found}):
            here = f"{path}.{key}" if path else key
            yield from _compare(expected.get(key, ABSENT), found.get(key, ABSENT), here)
    elif isinstance(expected, list) and isinstance(found, list):
        for index in range(max(len(expected), len(found))):
            here = f"{path}.{index}" if path else str(index)
            yield from _compare(_at(expected, index), _at(found, index), here)
    elif type(expected) is not type(found) or expected != found:
        yield path, expected, found


def _at(listed: list[Any], index: int) -> Any:
    return listed[index] if index < len(listed) else ABSENT
