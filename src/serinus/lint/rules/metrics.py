"""Whether the checks of an analysis can tell a good canary from a bad one."""

import re
from collections.abc import Iterator

from serinus.api import duration
from serinus.api.analysis import Metric
from serinus.api.canary import Canary
from serinus.api.validation import BUILTIN_METRICS
from serinus.lint.documents import Document, listed, mapping
from serinus.lint.files import Files
from serinus.lint.finding import Level
from serinus.lint.kuma import Kuma
from serinus.lint.registry import Found, common, versioned
from serinus.metrics.gotemplate import TemplateError
from serinus.metrics.providers import provider_problem
from serinus.metrics.query import rendered

SCRAPED = 5.0
"""Seconds between two scrapes in Kuma's own configuration of Prometheus."""

_JUDGES = (
    *("pre-rollout", "rollout", "confirm-rollout", "confirm-traffic-increase"),
    "confirm-promotion",
)
_SERVICE = re.compile(r"[{,]\s*(service)\s*(?:=|!)")
_TAGS = re.compile(r"[{,]\s*((?:k8s_)?kuma_io_\w+|dataplane)\s*(?:=|!)")
_SERIES = ("envoy_cluster_upstream_rq", "envoy_http_downstream_rq")


@common("metrics/none", "An analysis measures something, or calls a webhook that judges.")
def none(files: Files) -> Iterator[Found]:
    for one in files.canaries:
        analysis = one.canary.spec.analysis
        judges = [hook for hook in analysis.webhooks if hook.kind in _JUDGES]
        if not analysis.metrics and not judges and not one.canary.spec.skip_analysis:
            reason = "has no metrics and no webhook that judges, so every revision is promoted"
            fix = "add a metric, such as request-success-rate"
            yield Found(one.document, "spec.analysis", reason, fix, Level.WARNING)


@common("metrics/bound", "A metric has a bound, and on the side on which a bad canary fails.")
def bound(files: Files) -> Iterator[Found]:
    for document, path, metric in _metrics(files):
        for field, reason, fix in _bounds(metric):
            yield Found(document, f"{path}{field}", reason, fix, Level.WARNING)


def _bounds(metric: Metric) -> Iterator[tuple[str, str, str]]:
    limits = metric.threshold_range
    low, high = (limits.min, limits.max) if limits is not None else (None, None)
    if limits is None and metric.threshold is None:
        fix = "give it a thresholdRange"
        yield "", f"{metric.name} has neither thresholdRange nor threshold", fix
    elif limits is not None and low is None and high is None:
        yield ".thresholdRange", "has neither min nor max", "give it min or max"
    if metric.name == "request-success-rate":
        if limits is not None and low is None and high is not None:
            reason = "a success rate with max alone fails when the canary is too good"
            yield ".thresholdRange.max", reason, "write min"
        rate = low if limits is not None else metric.threshold
        if rate is not None and 0 < rate <= 1:
            reason = f"is {rate:g} percent, which nearly every canary keeps"
            field = ".thresholdRange.min" if limits is not None else ".threshold"
            yield field, reason, f"write {rate * 100:g} if that is what is meant"
    if metric.name == "request-duration":
        if limits is not None and high is None and low is not None:
            reason = "a duration with min alone fails when the canary is too fast"
            yield ".thresholdRange.min", reason, "write max"
        most = high if limits is not None else metric.threshold
        if most is not None and 0 < most < 5:
            reason = f"is {most:g} milliseconds, which hardly any service keeps"
            field = ".thresholdRange.max" if limits is not None else ".threshold"
            yield field, reason, f"write {most * 1000:g} if seconds are meant"


@common(
    "metrics/interval",
    "A metric looks back over several scrapes: rate() of one sample is nothing.",
)
def interval(files: Files) -> Iterator[Found]:
    for document, path, metric in _metrics(files):
        try:
            seconds = duration.seconds(metric.interval_or_default)
        except ValueError:
            continue
        if 0 < seconds < 4 * SCRAPED:
            reason = (
                f'"{metric.interval}" holds few samples: Kuma\'s Prometheus scrapes every '
                f"{SCRAPED:g}s, and sidecars renew their histograms every 5s"
            )
            fix = f"write {4 * SCRAPED:g}s or more"
            yield Found(document, f"{path}.interval", reason, fix, Level.WARNING)


@common("metrics/query", "Queries are templates that can be rendered, of providers that are asked.")
def query(files: Files) -> Iterator[Found]:
    for document, path, metric in _metrics(files):
        canary = next(one.canary for one in files.canaries if one.document is document)
        if metric.query:
            yield from _rendered(document, f"{path}.query", metric.query, canary, metric)
        reference = metric.template_ref
        if reference is None:
            continue
        if metric.query:
            reason, fix = "stands beside a templateRef", "remove one of them"
            yield Found(document, f"{path}.query", reason, fix)
        namespace = reference.namespace or canary.namespace
        for template, read in files.templates:
            if (files.namespace(template), template.name) == (namespace, reference.name):
                yield from _rendered(template, "spec.query", read.spec.query, canary, metric)
    for template, read in files.templates:
        wrong = provider_problem(read.spec.provider)
        if wrong is not None:
            reason, _, fix = wrong.rpartition("; ")
            yield Found(template, "spec.provider", reason or wrong, fix if reason else "correct it")


def _rendered(
    document: Document, path: str, text: str, canary: Canary, metric: Metric
) -> Iterator[Found]:
    try:
        if not rendered(text, canary, metric):
            yield Found(document, path, "the query is empty", "write one")
    except TemplateError as error:
        yield Found(document, path, str(error), "correct the template")


@versioned(
    "metrics/labels",
    "Queries of sidecars' series go by labels that these have: `service` is in the usual scrape "
    "configuration until Kuma 2.8 only, and Kuma 3 has none of `kuma_io_...`.",
)
def labels(files: Files, kuma: Kuma) -> Iterator[Found]:
    asked = [(one, f"{path}.query", metric.query) for one, path, metric in _metrics(files)]
    asked += [(one, "spec.query", read.spec.query) for one, read in files.templates]
    for document, path, text in asked:
        if "envoy_" not in text:
            continue
        gone = _SERVICE.search(text) if not kuma.version.service_label else None
        gone = gone or (_TAGS.search(text) if not kuma.version.tags_in_metrics else None)
        if gone is not None:
            reason = f"the series of sidecars have no label {gone[1]} there, unless you add it"
            fix = "select by envoy_cluster_name, or by namespace and pod"
            if kuma.version.tags_in_metrics:
                fix = "select by kuma_io_service"
            yield Found(document, path, reason, fix, Level.WARNING)


@common("metrics/tcp", "Built-in metrics are asked of HTTP services only: TCP has no such series.")
def tcp(files: Files) -> Iterator[Found]:
    for one in files.meshed:
        protocol = one.canary.spec.service.app_protocol
        if protocol not in ("tcp", "tls", "mysql"):
            continue
        for index, metric in enumerate(one.canary.spec.analysis.metrics):
            if _is_builtin(metric):
                reason = f"{metric.name} counts requests, and appProtocol is {protocol}"
                fix = "use a templateRef to a MetricTemplate of your own, or appProtocol: http"
                yield Found(one.document, f"spec.analysis.metrics[{index}].name", reason, fix)


@common(
    "metrics/meshmetric",
    "A MeshMetric lets Prometheus see the requests: a Prometheus backend, and no profile or "
    "exclusion that drops them; and a mesh that is defined in the files has one.",
)
def mesh_metric(files: Files) -> Iterator[Found]:
    counted = [
        one for one in files.meshed if any(map(_is_builtin, one.canary.spec.analysis.metrics))
    ]
    policies = list(files.of("MeshMetric", group="kuma.io"))
    for policy in policies:
        yield from _dropping(policy)
    covered = {files.mesh(policy) for policy in policies}
    for mesh in files.of("Mesh", group="kuma.io"):
        in_it = [one.canary.name for one in counted if one.canary.mesh == mesh.name]
        if in_it and mesh.name not in covered:
            reason = (
                f"mesh {mesh.name} has no MeshMetric here, so its sidecars show no metrics for "
                f"canary {in_it[0]}"
            )
            fix = "add a MeshMetric with a Prometheus backend"
            yield Found(mesh, "metadata.name", reason, fix, Level.WARNING)


def _dropping(policy: Document) -> Iterator[Found]:
    default = mapping(policy.spec, "default")
    path = "spec.default"
    kinds = [backend.get("type") for backend in listed(default, "backends")]
    if "Prometheus" not in kinds:
        reason, fix = "has no backend of type Prometheus", "add one, with port and path"
        yield Found(policy, f"{path}.backends", reason, fix)
    profiles = mapping(default, "sidecar", "profiles")
    names = [one.get("name") for one in listed(profiles, "appendProfiles")]
    if names and all(name == "None" for name in names) and not listed(profiles, "include"):
        reason = "profile None drops every series that the built-in metrics need"
        where = f"{path}.sidecar.profiles.appendProfiles[0].name"
        yield Found(policy, where, reason, "use Basic")
    for index, one in enumerate(listed(profiles, "exclude")):
        text = str(one.get("match") or "")
        if text and any(series.startswith(text.rstrip(".*^$")) for series in _SERIES):
            where = f"{path}.sidecar.profiles.exclude[{index}].match"
            reason = f'"{text}" drops series that the built-in metrics need'
            yield Found(policy, where, reason, "remove it, or include them again")


def _metrics(files: Files) -> Iterator[tuple[Document, str, Metric]]:
    for one in files.canaries:
        for index, metric in enumerate(one.canary.spec.analysis.metrics):
            yield one.document, f"spec.analysis.metrics[{index}]", metric


def _is_builtin(metric: Metric) -> bool:
    bare = not metric.query and metric.template_ref is None
    return bare and metric.name in BUILTIN_METRICS
