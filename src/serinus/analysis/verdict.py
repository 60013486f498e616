"""What a measurement says of a canary: the values every judge of a metric speaks in."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Value:
    """A metric's number over its window, in the metric's own unit (percent, milliseconds, ...).

    ``view`` tells a person who counted, where it is not who should; else it is empty.
    """

    value: float
    view: str = ""


@dataclass(frozen=True, slots=True)
class NoData:
    """The metrics server answered, and has nothing to judge by. ``why`` is for a person."""

    why: str


@dataclass(frozen=True, slots=True)
class Unavailable:
    """The metrics server could not be asked. ``why`` is for a person."""

    why: str


Measurement = Value | NoData | Unavailable
