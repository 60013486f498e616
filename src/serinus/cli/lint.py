"""`serinus lint`: what is wrong with manifests, before a cluster sees them."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from serinus.cli.access import output

if TYPE_CHECKING:
    from serinus.lint.finding import Finding

MANIFESTS = (".yaml", ".yml", ".json")
"""How the names of files end that are looked at in a directory."""

_RED, _YELLOW, _BOLD, _PLAIN = "\x1b[31m", "\x1b[33m", "\x1b[1m", "\x1b[0m"


def lint(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE...", help="Files, directories, or - for stdin.", show_default=False
        ),
    ],
    kuma: Annotated[
        list[str] | None,
        typer.Option("--kuma", help="1.8, 2.7, 2.14 or 3.0; may be repeated. All unless told."),
    ] = None,
    mesh_services: Annotated[
        str,
        typer.Option("--mesh-services", help="exclusive or disabled: the mesh of Kuma 2.14."),
    ] = "",
    namespace: Annotated[
        str,
        typer.Option("--namespace", "-n", help="The namespace of objects that name none."),
    ] = "default",
    form: Annotated[
        str, typer.Option("--output", "-o", help="text, json, or github for annotations in CI.")
    ] = "text",
) -> None:
    """Check Canaries and what is beside them: schema, sense, and what this Kuma can do.

    The files are looked at together. Without --kuma, what only some releases refuse is a warning.
    Exit status 1 when there are errors. The rules are in docs/lint.md.

    Example: serinus lint --kuma 2.14 manifests/
    """
    output(form, "text", "json", "github")
    from serinus.lint.check import check
    from serinus.lint.finding import Level
    from serinus.lint.kuma import groups

    try:
        asked = groups(kuma or [], mesh_services)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    found = check(_texts(files), asked, namespace)
    if form == "json":
        import json

        typer.echo(json.dumps([_data(one) for one in found], indent=2))
    elif form == "github":
        for one in found:
            typer.echo(_annotation(one))
    else:
        for one in found:
            typer.echo(_line(one))
    if any(one.level is Level.ERROR for one in found):
        raise typer.Exit(1)


def _texts(names: list[str]) -> Iterator[tuple[str, str, bool]]:
    """Name, text, and whether a person named it, of each file."""
    for name in names:
        if name == "-":
            yield "stdin", sys.stdin.read(), True
            continue
        path = Path(name)
        if not path.is_dir():
            yield name, _text(path), True
            continue
        for file in sorted(path.rglob("*")):
            hidden = any(part.startswith(".") for part in file.relative_to(path).parts)
            if file.suffix in MANIFESTS and file.is_file() and not hidden:
                yield str(file), _text(file), False


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise typer.BadParameter(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise typer.BadParameter(f"cannot read {path}: it is not UTF-8") from None


def _line(one: "Finding") -> str:
    text = str(one)
    if not sys.stdout.isatty():
        return text
    color = _RED if one.level.value == "error" else _YELLOW
    where = f"{one.file}:{one.line}:{one.column}"
    rest = text.removeprefix(f"{where} {one.level.value}")
    return f"{_BOLD}{where}{_PLAIN} {color}{one.level.value}{_PLAIN}{rest}"


def _data(one: "Finding") -> dict[str, object]:
    return {
        "file": one.file,
        "line": one.line,
        "column": one.column,
        "level": one.level.value,
        "rule": one.rule,
        "object": one.subject,
        "path": one.path,
        "reason": one.reason,
        "fix": one.fix,
    }


def _annotation(one: "Finding") -> str:
    """A workflow command of GitHub's, which shows the finding beside the line."""
    text = ": ".join(filter(None, (one.path, one.reason)))
    text = f"{text}; {one.fix}" if one.fix else text
    message = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    place = f"file={one.file},line={one.line},col={one.column},title={one.rule}"
    return f"::{one.level.value} {place}::{message}"
