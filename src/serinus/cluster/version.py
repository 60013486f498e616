"""The resourceVersions of one kind, and their order."""

Version = int | str
"""An int where the text is decimal, as Kubernetes' always are: then later versions are greater.
Other versions (of an aggregated API) have no order, and are only equal or not."""


def parse(text: str) -> Version:
    """The version that ``text`` stands for."""
    return int(text) if text.isdecimal() else text


def newer(one: Version, other: Version) -> bool:
    """Whether ``one`` is surely later than ``other``."""
    return isinstance(one, int) and isinstance(other, int) and one > other


def reaches(one: Version, other: Version) -> bool:
    """Whether ``one`` is ``other`` or surely later."""
    return one == other or newer(one, other)
