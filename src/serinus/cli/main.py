"""The `serinus` command's entry point; also kubectl's plugin `kubectl serinus`."""

import sys

from serinus.cli import programs
from serinus.cli.errors import CommandError


def main() -> None:
    """Run the command line that the process was started with, and exit.

    The operator and the load tester are started without the command line's library: what is
    imported in a pod, stays in its memory.
    """
    words = sys.argv[1:]
    if words[:1] and words[0] in programs.MODULES:
        sys.exit(programs.run(words[0], words[1:]))

    from serinus.cli.app import app

    try:
        app(prog_name="serinus")
    except CommandError as error:
        sys.stderr.write(f"serinus: {error}\n")
        sys.exit(1)
