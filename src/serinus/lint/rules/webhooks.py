"""Whether a load test reaches the split: Kuma splits in the *caller's* sidecar."""

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from serinus.api.canary import Canary
from serinus.lint.documents import Document
from serinus.lint.files import Files, annotations, labels, template
from serinus.lint.finding import Level
from serinus.lint.registry import Found, common

_URL = re.compile(r"https?://[^\s'\"]+")
_INJECTION = "kuma.io/sidecar-injection"
_ON = ("enabled", "true")


@common(
    "webhook/caller",
    "The load tester that calls the apex has a sidecar; without, it meets the primary alone.",
)
def caller(files: Files) -> Iterator[Found]:
    for document, path, canary, url, _ in _load_tests(files):
        name, _, rest = (urlsplit(url).hostname or "").partition(".")
        namespace = rest.partition(".")[0] or canary.namespace
        unmeshed = _unmeshed(files, namespace, name)
        if unmeshed:
            reason = (
                f"calls {canary.apex_name}, but {unmeshed}; Kuma splits in the caller's sidecar, "
                "so all of these requests meet the primary"
            )
            fix = f"label it {_INJECTION}: enabled"
            yield Found(document, f"{path}.url", reason, fix)


@common("webhook/port", "A load test calls the apex at the port of spec.service.port.")
def port(files: Files) -> Iterator[Found]:
    for document, path, canary, _, called in _load_tests(files):
        parts = urlsplit(called)
        given = parts.port or (443 if parts.scheme == "https" else 80)
        if given != canary.spec.service.port and not canary.spec.service.port_discovery:
            reason = (
                f"{called} is port {given} of {canary.apex_name}, which has port "
                f"{canary.spec.service.port} only"
            )
            fix = f"write http://{canary.apex_name}.{canary.namespace}:{canary.spec.service.port}/"
            yield Found(document, f"{path}.metadata.cmd", reason, fix, Level.WARNING)


def _load_tests(files: Files) -> Iterator[tuple[Document, str, Canary, str, str]]:
    """Per webhook whose command calls the apex: document, path, canary, webhook's URL, the URL
    that is called."""
    for one in files.meshed:
        canary = one.canary
        hosts = {f"{canary.apex_name}.{canary.namespace}", canary.apex_name}
        for index, hook in enumerate(canary.spec.analysis.webhooks):
            for called in _URL.findall(hook.metadata.get("cmd", "")):
                host = _host(called).removesuffix(".cluster.local").removesuffix(".svc")
                if host in hosts:
                    path = f"spec.analysis.webhooks[{index}]"
                    yield one.document, path, canary, hook.url, called


def _host(url: str) -> str:
    try:
        parts = urlsplit(url)
        return (parts.hostname or "") if parts.port != 0 else ""
    except ValueError:
        return ""


def _unmeshed(files: Files, namespace: str, name: str) -> str:
    """Why pods of that workload get no sidecar, as far as the files tell; empty where they may."""
    workload = files.find("Deployment", namespace, name)
    own = labels(template(workload)).get(_INJECTION) if workload is not None else None
    if own is not None:
        return "" if own in _ON else f"the pods of {name}.{namespace} are labelled {own}"
    place = files.place(namespace)
    if place is None:
        return ""
    value = labels(place.object).get(_INJECTION, annotations(place.object).get(_INJECTION))
    return "" if value in _ON else f"namespace {namespace} of its load tester has no injection"
