"""Ages as kubectl prints them: two units at most, coarser the older a thing is."""

from datetime import UTC, datetime

_MINUTE = 60
_HOUR = 60 * _MINUTE
_DAY = 24 * _HOUR
_YEAR = 365 * _DAY


def human_duration(seconds: float) -> str:
    """A duration in kubectl's form: ``119s``, ``2m3s``, ``15m``, ``3h20m``, ``2d``, ``2y1d``."""
    whole = int(seconds)
    if whole < -1:
        return "<invalid>"
    whole = max(whole, 0)
    if whole < 2 * _MINUTE:
        return f"{whole}s"
    if whole < 10 * _MINUTE:
        return _two(whole, _MINUTE, "m", 1, "s")
    if whole < 3 * _HOUR:
        return f"{whole // _MINUTE}m"
    if whole < 8 * _HOUR:
        return _two(whole, _HOUR, "h", _MINUTE, "m")
    if whole < 2 * _DAY:
        return f"{whole // _HOUR}h"
    if whole < 8 * _DAY:
        return _two(whole, _DAY, "d", _HOUR, "h")
    if whole < 2 * _YEAR:
        return f"{whole // _DAY}d"
    if whole < 8 * _YEAR:
        return _two(whole, _YEAR, "y", _DAY, "d")
    return f"{whole // _YEAR}y"


def _two(seconds: int, big: int, big_name: str, small: int, small_name: str) -> str:
    rest = seconds % big // small
    return f"{seconds // big}{big_name}" + (f"{rest}{small_name}" if rest else "")


def parse_time(stamp: str) -> datetime:
    """An RFC 3339 timestamp; one without an offset is taken as UTC.

    Raises ValueError for anything else.
    """
    moment = datetime.fromisoformat(stamp)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def age(stamp: object, now: datetime) -> str:
    """How long ago ``stamp`` was: ``<unknown>`` when absent, ``<invalid>`` when not a time."""
    if not stamp:
        return "<unknown>"
    try:
        moment = parse_time(str(stamp))
    except ValueError:
        return "<invalid>"
    return human_duration((now - moment).total_seconds())
