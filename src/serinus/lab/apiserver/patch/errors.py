"""Why a patch could not be applied."""


class PatchError(ValueError):
    """The patch is not well-formed (HTTP 400) or does not fit the object (HTTP 422)."""

    def __init__(self, message: str, *, code: int = 400) -> None:
        super().__init__(message)
        self.message = message
        self.code = code


class DuplicateItem(Exception):
    """A list that is a map or a set has an item twice; the message says where."""
