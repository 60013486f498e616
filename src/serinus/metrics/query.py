"""The query of one metric of one canary: the user's text with the canary's names put in."""

from collections.abc import Mapping

from serinus.api.canary import Canary, Metric
from serinus.metrics.gotemplate import Value, render


def rendered(text: str, canary: Canary, metric: Metric) -> str:
    """The query that the template ``text`` gives, on one line: white space is as good as a blank
    in PromQL. Raises `TemplateError`."""
    return " ".join(render(text, names(canary, metric)).split())


def names(canary: Canary, metric: Metric) -> Mapping[str, Value]:
    """What a query's template may call, as Flagger has it; but ``interval`` is 1m where the metric
    gives none, for ``[]`` would be no PromQL."""
    spec, target = canary.spec, canary.target_name
    return {
        "name": canary.name,
        "namespace": canary.namespace,
        "target": target,
        "service": canary.apex_name,
        "ingress": spec.ingress_ref.name if spec.ingress_ref is not None else target,
        "route": spec.route_ref.name if spec.route_ref is not None else target,
        "interval": metric.interval_or_default,
        "variables": metric.template_variables,
    }
