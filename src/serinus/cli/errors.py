"""What ends a command with one line for a person."""


class CommandError(Exception):
    """The command cannot do what was asked (exit status 1); the text says why, and what helps."""
