"""The MetricTemplates of the cluster, as the watch shows them."""

import structlog

from serinus.api.decode import Malformed
from serinus.api.metrictemplate import MetricTemplate
from serinus.cluster.cache import Cache, Change

log = structlog.get_logger(__name__)


class Templates:
    """By namespace and name. One that cannot be read is told in the log, when it comes."""

    def __init__(self, cache: Cache[MetricTemplate | Malformed]) -> None:
        self._cache = cache
        cache.subscribe(_tell)

    def get(self, namespace: str, name: str) -> MetricTemplate | Malformed | None:
        """The template, what keeps it from being one, or None where there is none."""
        return self._cache.get(namespace, name)


def _tell(change: Change[MetricTemplate | Malformed]) -> None:
    if isinstance(change.new, Malformed):
        log.warning(
            "MetricTemplate cannot be read",
            namespace=change.new.namespace,
            name=change.new.name,
            error=str(change.new.problem),
        )
