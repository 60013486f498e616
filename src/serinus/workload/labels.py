"""Which label tells the primary's pods from the target's, and which labels are copied.

A target's pods carry ``app: podinfo``, its primary's ``app: podinfo-primary``; every other label
is the same. So that one label is all that the Services select by.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from serinus.workload.errors import WorkloadError

PRIMARY_SUFFIX = "-primary"

TOOLKIT_MARK = "toolkit.fluxcd.io"
"""Part of the keys by which Flux claims an object; a copy must not carry them, or Flux would
prune it as its own."""


@dataclass(frozen=True, slots=True)
class LabelRules:
    """Settings: Flagger's ``-selector-labels`` and ``-include-label-prefix``.

    ``selector_keys`` are tried in order; ``copied_prefixes`` choose the labels of the target
    object itself that its primary gets too (``*`` chooses all).
    """

    selector_keys: tuple[str, ...] = ("app", "name", "app.kubernetes.io/name")
    copied_prefixes: tuple[str, ...] = ()

    def copied(self, labels: Mapping[str, str]) -> dict[str, str]:
        """Those of an object's labels that its primary gets too."""
        return {
            key: value
            for key, value in without_toolkit(labels).items()
            if any(prefix == "*" or key.startswith(prefix) for prefix in self.copied_prefixes)
        }

    def selector(
        self, workload: str, match_labels: Mapping[str, str], kind: str = "Deployment"
    ) -> "PodSelector":
        """The label of a workload's selector that tells its pods from its primary's.

        ``workload`` is ``name.namespace``, for the message of `WorkloadError`.
        """
        for key in self.selector_keys:
            if key in match_labels:
                return PodSelector(key, match_labels[key])
        raise WorkloadError(
            f"{kind.lower()} {workload} spec.selector.matchLabels must contain one of "
            f"{', '.join(self.selector_keys)}; it has {', '.join(match_labels) or 'none'}"
        )


DEFAULT_RULES = LabelRules()


@dataclass(frozen=True, slots=True)
class PodSelector:
    """The one label by which Services and the primary select pods."""

    key: str
    value: str

    @property
    def primary_value(self) -> str:
        """The label's value on the primary's pods."""
        return self.value + PRIMARY_SUFFIX

    @property
    def target(self) -> dict[str, str]:
        """Selects the target's pods: the canary's."""
        return {self.key: self.value}

    @property
    def primary(self) -> dict[str, str]:
        """Selects the primary's pods."""
        return {self.key: self.primary_value}


def without_toolkit(metadata: Mapping[str, str]) -> dict[str, str]:
    """Labels or annotations without those by which Flux claims an object."""
    return {key: value for key, value in metadata.items() if TOOLKIT_MARK not in key}
