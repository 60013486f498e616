"""The load tester's settings, as flags under Flagger's names; one dash and two are the same.

Flags are read with argparse because Go's single dash must work (docs/decisions/cli-library.md).
"""

import argparse
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from serinus.api import duration

DEFAULT_TASKS = 64

_CONFIGMAP = re.compile(r"[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?")


class SettingsError(Exception):
    """A flag that cannot be obeyed; the text names it."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What one load tester was told.

    ``timeout`` is the longest that a task may run, in seconds. ``namespaces`` must be found in
    the namespace that a caller claims to speak for. ``tasks`` bounds those that run at a time.
    Gates are kept in the ConfigMap or the file that is named, else in memory.
    """

    port: int = 9090
    listen: str = ""
    timeout: float = 3600.0
    namespaces: re.Pattern[str] | None = None
    tasks: int = DEFAULT_TASKS
    gates_configmap: str = ""
    gates_file: Path | None = None
    log_level: str = "info"
    log_encoding: str = "json"


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise SettingsError(message)


def parser() -> argparse.ArgumentParser:
    """The command line, for `--help` and for `parse`."""
    built = _Parser(
        prog="serinus loadtester",
        description="Runs the commands that a Canary's webhooks carry in their metadata.",
        epilog="One dash or two, Flagger's flags work as they are: -port=8080 -timeout=1h",
        allow_abbrev=False,
    )

    def flag(name: str, default: str, text: str) -> None:
        shown = f"{text} (default {default})" if default else text
        built.add_argument(
            f"--{name}", f"-{name}", dest=name, default=default, metavar="VALUE", help=shown
        )

    flag("port", "9090", "port to listen on")
    flag("listen", "", "address to listen on; every address when empty")
    flag("timeout", "1h", "longest that a task may run")
    flag("namespace-regexp", "", "only callers from namespaces in which this is found")
    flag("max-tasks", str(DEFAULT_TASKS), "most tasks that run at a time; more are answered 429")
    flag(
        "gates-configmap", "", "ConfigMap of the pod's namespace that keeps gates; memory if empty"
    )
    flag(
        "gates-file", "", "file that keeps gates, on a volume that replicas share; memory if empty"
    )
    flag("log-level", "info", "debug, info, warn or error")
    flag("zap-encoding", "json", "json or console")
    built.add_argument(
        "--zap-replace-globals", "-zap-replace-globals", nargs="?", help="nothing: Flagger's flag"
    )
    return built


def parse(arguments: Sequence[str]) -> Settings:
    """The settings of a command line; raises `SettingsError`."""
    given = vars(parser().parse_args(list(arguments)))
    try:
        timeout = duration.seconds(given["timeout"])
    except ValueError as error:
        raise SettingsError(f"-timeout: {error}") from None
    if timeout <= 0:
        raise SettingsError(f'-timeout must be longer than nothing, not "{given["timeout"]}"')
    try:
        namespaces = re.compile(given["namespace-regexp"]) if given["namespace-regexp"] else None
    except re.error as error:
        raise SettingsError(f"-namespace-regexp is not a regular expression: {error}") from None
    configmap, file = given["gates-configmap"], given["gates-file"]
    if configmap and file:
        raise SettingsError("-gates-configmap and -gates-file exclude each other; leave one out")
    if configmap and not _CONFIGMAP.fullmatch(configmap):
        raise SettingsError(f"-gates-configmap must be a ConfigMap's name, not {configmap!r}")
    return Settings(
        port=_number("port", given["port"], 0, 65535),
        listen=given["listen"],
        timeout=timeout,
        namespaces=namespaces,
        tasks=_number("max-tasks", given["max-tasks"], 1, 10_000),
        gates_configmap=configmap,
        gates_file=Path(file) if file else None,
        log_level=_one_of("log-level", given["log-level"], ("debug", "info", "warn", "error")),
        log_encoding=_one_of("zap-encoding", given["zap-encoding"], ("json", "console")),
    )


def _number(name: str, text: str, lowest: int, highest: int) -> int:
    if not (text.isascii() and text.isdigit() and lowest <= int(text) <= highest):
        raise SettingsError(f"-{name} must be a number from {lowest} to {highest}, not {text!r}")
    return int(text)


def _one_of(name: str, text: str, choices: tuple[str, ...]) -> str:
    if text not in choices:
        raise SettingsError(f"-{name} must be one of {', '.join(choices)}, not {text!r}")
    return text
