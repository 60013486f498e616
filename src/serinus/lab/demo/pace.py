"""The guide's canary at another pace: the same manifest with shorter times, and nothing else.

The text is changed where the times stand, as a person would with an editor, so that what is
applied is still the guide's manifest, its comments included.
"""

import re
from dataclasses import dataclass

from serinus.api import duration


@dataclass(frozen=True, slots=True)
class Pace:
    """Times of a canary: of the analysis, of each metric by name, and of hey's run."""

    interval: str
    success_rate: str
    request_duration: str
    hey: str


SHORT = Pace(interval="2s", success_rate="8s", request_duration="5s", hey="30s")
"""The metrics look over no less than five scrapes of the lab's Prometheus (one a second)."""


def shortened(manifest: str, pace: Pace = SHORT) -> str:
    """The guide's manifest at ``pace``; raises ValueError where the manifest is another one."""
    changes = (
        (r"^(  analysis:\n(?:    #.*\n)*    interval: )\S+$", pace.interval),
        (r"^( +- name: request-success-rate\n +threshold: \S+\n +interval: )\S+$",
         pace.success_rate),
        (r"^( +- name: request-duration\n +threshold: \S+\n +interval: )\S+$",
         pace.request_duration),
        (r"(\bhey -z )\S+", pace.hey),
    )  # fmt: skip
    for pattern, value in changes:
        manifest, count = re.subn(pattern, rf"\g<1>{value}", manifest, flags=re.MULTILINE)
        if count != 1:
            raise ValueError(f"the canary's manifest is not the guide's: {pattern} is not there")
    return manifest


def quickened(manifest: str, pace: Pace = SHORT) -> str:
    """Any canary's manifest at ``pace``, as our examples are laid out; what it has no such times
    of stays as it is."""
    changes = (
        (r"^(    interval: )\S+$", pace.interval),
        (r"^(        interval: )\S+$", pace.success_rate),
        (r"(\bhey -z )\S+", pace.hey),
    )
    for pattern, value in changes:
        manifest = re.sub(pattern, rf"\g<1>{value}", manifest, flags=re.MULTILINE)
    return manifest


def interval_seconds(manifest: str) -> float:
    """The analysis interval that a manifest of the guide's shape asks for."""
    found = re.search(r"^    interval: (\S+)$", manifest, flags=re.MULTILINE)
    if found is None:
        raise ValueError("the canary's manifest has no spec.analysis.interval")
    return duration.seconds(found[1])
