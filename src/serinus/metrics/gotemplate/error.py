"""What is wrong with a template, and where."""


class TemplateError(Exception):
    """The template cannot be read, or cannot be rendered; ``line`` and ``column`` count from 1."""

    def __init__(self, message: str, line: int, column: int, more: str = "") -> None:
        super().__init__(f"{message} at {line}:{column}{more}")
        self.message = message
        self.line = line
        self.column = column


def error_at(text: str, offset: int, message: str, more: str = "") -> TemplateError:
    """The error about what stands at ``offset`` (in characters) of the template's text; ``more``
    is said behind the place."""
    line = text.count("\n", 0, offset) + 1
    column = offset - (text.rfind("\n", 0, offset) + 1) + 1
    return TemplateError(message, line, column, more)
