"""The metrics that users bring: a query of their own, inline or in a MetricTemplate."""

import asyncio
from dataclasses import dataclass, replace

import aiohttp

from serinus.analysis.verdict import Measurement, Unavailable, Value
from serinus.api.canary import Canary, Metric
from serinus.api.decode import Malformed
from serinus.api.metrictemplate import MetricProvider
from serinus.api.problem import Problem
from serinus.cluster.credentials import Credentials, NoCredentials
from serinus.metrics.gotemplate import TemplateError
from serinus.metrics.presence import ONLINE
from serinus.metrics.prometheus import Prometheus
from serinus.metrics.providers import prometheus, provider_problem
from serinus.metrics.query import rendered
from serinus.metrics.templates import Templates


def is_custom(metric: Metric) -> bool:
    """Whether the metric has a query of its own, whatever its name is."""
    return bool(metric.query) or metric.template_ref is not None


@dataclass(frozen=True, slots=True)
class _Question:
    """A query, and whom it goes to: the ``provider`` of the template ``name`` in ``namespace``,
    or the canary's own server when there is none."""

    query: str
    provider: MetricProvider | None = None
    namespace: str = ""
    name: str = ""


class CustomMetrics:
    """Asks the queries of canaries. ``no_cross_namespace_refs`` forbids templates of other
    namespaces than the canary's."""

    def __init__(
        self,
        templates: Templates,
        credentials: Credentials,
        session: aiohttp.ClientSession,
        no_cross_namespace_refs: bool = False,
    ) -> None:
        self._templates = templates
        self._credentials = credentials
        self._session = session
        self._same_namespace = no_cross_namespace_refs

    def problems(self, canary: Canary) -> tuple[Problem, ...]:
        """What keeps the queries from being asked: a template that is not there or not allowed,
        a provider that is not supported, a text that cannot be rendered.

        (A metric with neither a known name nor a query is told by `serinus.api.validation`.)
        """
        questions = (
            self._question(canary, metric, f"spec.analysis.metrics[{index}]")
            for index, metric in enumerate(canary.spec.analysis.metrics)
            if is_custom(metric)
        )
        return tuple(one for one in questions if isinstance(one, Problem))

    async def measure(self, canary: Canary, metric: Metric, default_server: str) -> Measurement:
        """The metric's number. ``default_server`` is the address for inline queries of canaries
        that name no metricsServer."""
        question = self._question(canary, metric, "")
        if isinstance(question, Problem):
            return Unavailable(question.message)
        try:
            server = await self._server(canary, question, default_server)
        except NoCredentials as error:
            return Unavailable(str(error))
        return await server.value(question.query)

    async def check(self, canary: Canary, default_server: str) -> str | None:
        """Why one of the servers that the canary's own queries need cannot be asked, or None when
        all of them answer."""
        wanted: dict[tuple[str, str], _Question] = {}
        for metric in filter(is_custom, canary.spec.analysis.metrics):
            question = self._question(canary, metric, "")
            if isinstance(question, Problem):
                return question.message
            wanted.setdefault((question.namespace, question.name), question)
        answers = await asyncio.gather(
            *(self._offline(canary, question, default_server) for question in wanted.values())
        )
        return next((answer for answer in answers if answer is not None), None)

    async def _offline(
        self, canary: Canary, question: _Question, default_server: str
    ) -> str | None:
        where = f" in metric template {question.name}.{question.namespace}" if question.name else ""
        try:
            server = await self._server(canary, question, default_server)
        except NoCredentials as error:
            return f"prometheus{where} not available: {error}"
        answer = await server.value(ONLINE)
        if isinstance(answer, Value):
            return None
        return f"prometheus{where} not available: {answer.why}"

    async def _server(self, canary: Canary, question: _Question, default_server: str) -> Prometheus:
        if question.provider is None:
            return Prometheus(canary.spec.metrics_server or default_server, self._session)
        return await prometheus(
            question.provider, question.namespace, self._credentials, self._session
        )

    def _question(self, canary: Canary, metric: Metric, path: str) -> _Question | Problem:
        reference = metric.template_ref
        if reference is None:
            return _question(canary, metric, _Question(metric.query), f"{path}.query", "query")
        if metric.query:
            return Problem(f"{path}.query", "stands beside a templateRef; remove one of them")
        name, namespace = reference.name, reference.namespace or canary.namespace
        path = f"{path}.templateRef"
        if self._same_namespace and namespace != canary.namespace:
            return Problem(
                f"{path}.namespace",
                f"can't access metric template {name}.{namespace}, cross-namespace references are"
                " blocked",
            )
        known = f"MetricTemplate {name}.{namespace}"
        template = self._templates.get(namespace, name)
        if template is None:
            return Problem(path, f"{known} does not exist")
        if isinstance(template, Malformed):
            return Problem(path, f"{known} cannot be read: {template.problem}")
        provider = template.spec.provider
        wrong = provider_problem(provider)
        if wrong is not None:
            return Problem(path, f"{known}: {wrong}")
        asked = _Question(template.spec.query, provider, namespace, name)
        return _question(canary, metric, asked, path, f"{known}, spec.query")


def _question(
    canary: Canary, metric: Metric, asked: _Question, path: str, where: str
) -> _Question | Problem:
    """The same with its query rendered; ``where`` tells people where its text is."""
    try:
        query = rendered(asked.query, canary, metric)
    except TemplateError as error:
        return Problem(path, f"{where}: {error}")
    if not query:
        return Problem(path, f"{where}: the query is empty")
    return replace(asked, query=query)
