"""A lab in which examples are played side by side, each in a namespace of its own."""

import json
import re
from collections.abc import Mapping
from typing import Any

import yaml

from serinus.lab.demo import manifests
from serinus.lab.demo.pace import quickened
from story.story_lab import StoryLab


class Stage:
    """The lab with a podinfo and a canary in each of the namespaces.

    ``examples``: namespace -> the example that is played in it.
    """

    def __init__(self, lab: StoryLab, examples: Mapping[str, str]) -> None:
        self.lab = lab
        self._examples = examples

    def prepare(self) -> None:
        lab = self.lab
        lab.sh("kubectl apply -k github.com/fluxcd/flagger//kustomize/kuma")
        for namespace, example in {"test": "", **self._examples}.items():
            lab.sh(f"kubectl create ns {namespace}")
            if example != "plain-kubernetes":
                lab.sh(f"kubectl annotate ns {namespace} kuma.io/sidecar-injection=enabled")
        lab.sh("kubectl apply -k https://github.com/fluxcd/flagger//kustomize/tester?ref=main")
        podinfo = (manifests.kustomization("podinfo") / "deployment.yaml").read_text()
        for slow in ("initialDelaySeconds: 5", "minReadySeconds: 3"):
            podinfo = podinfo.replace(slow, f"{slow.partition(':')[0]}: 1")
        for namespace, example in self._examples.items():
            lab.sh(f"kubectl apply -n {namespace} -f -", stdin=podinfo)
            lab.sh("kubectl apply -f -", stdin=self.manifest(namespace, example))
        lab.sh("kubectl -n test rollout status deployment/flagger-loadtester --timeout=120s")
        for namespace in self._examples:
            self.until_phase(namespace, "Initialized")

    def manifest(self, namespace: str, example: str) -> str:
        """An example at a test's pace, moved into ``namespace``; the load tester stays."""
        text = quickened((manifests.root() / "examples" / f"{example}.yaml").read_text())
        text = re.sub(r"\b(podinfo|podinfo-canary|receiver)\.test\b", rf"\1.{namespace}", text)
        text = text.replace("namespace: test", f"namespace: {namespace}")
        if example != "gated":
            return text
        # Who waits at a gate hears of it by alerts.
        gated = yaml.safe_load(text)
        alerting, *receivers = yaml.safe_load_all(self.manifest(namespace, "alerts"))
        gated["spec"]["analysis"]["alerts"] = alerting["spec"]["analysis"]["alerts"]
        return yaml.safe_dump_all([*receivers, gated])

    def status(self, namespace: str) -> dict[str, Any]:
        status: dict[str, Any] = self.lab.get(f"-n {namespace} canary/podinfo").get("status") or {}
        return status

    def until(self, namespace: str, holds: Any, what: str, seconds: float = 120) -> dict[str, Any]:
        """The canary's status as soon as it ``holds``."""
        found: dict[str, Any] = {}

        def there() -> bool:
            found.clear()
            found.update(self.status(namespace))
            return bool(holds(found))

        try:
            self.lab.until(there, seconds, what)
        except AssertionError:
            raise self._missed(namespace, what) from None
        return found

    def until_phase(self, namespace: str, phase: str) -> None:
        """Wait, by one kubectl: asking again and again takes a core of its own."""
        wanted = f"--for=jsonpath='{{.status.phase}}'={phase}"
        try:
            self.lab.sh(f"kubectl -n {namespace} wait canary/podinfo {wanted} --timeout=150s")
        except AssertionError:
            raise self._missed(namespace, phase) from None

    def _missed(self, namespace: str, what: str) -> AssertionError:
        """That something did not come, and how things are instead."""
        status = json.dumps(self.status(namespace))
        return AssertionError("\n".join([f"{what}: {status}", *self.told(namespace)]))

    def release(self, namespace: str, version: str) -> None:
        image = f"podinfod=ghcr.io/stefanprodan/podinfo:{version}"
        self.lab.sh(f"kubectl -n {namespace} set image deployment/podinfo {image}")

    def told(self, namespace: str) -> list[str]:
        """The texts of the canary's events; one that was told N times is there N times."""
        events = self.lab.get(f"-n {namespace} events --field-selector=involvedObject.kind=Canary")[
            "items"
        ]
        return [event["message"] for event in events for _ in range(event.get("count") or 1)]


def received(stage: Stage, namespace: str) -> list[tuple[str, str]]:
    """Path and text of each alert that came to the receiver, in the form that its service takes."""
    logs = stage.lab.sh(f"kubectl -n {namespace} logs deployment/receiver -c receiver")
    found = []
    for line in logs.splitlines():
        sent = json.loads(line)
        path, body = sent["path"], sent["body"]
        if path == "/slack":
            assert (body["channel"], body["username"]) == ("releases", "serinus")
            (attachment,) = body["attachments"]
            assert attachment["author_name"] == f"podinfo.{namespace}"
            assert attachment["color"] in {"good", "warning", "danger"}
            found.append((path, attachment["text"]))
        else:
            (attachment,) = body["attachments"]
            assert body["type"] == "message"
            assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
            card = attachment["content"]
            assert card["type"] == "AdaptiveCard"
            text, subject, *_ = card["body"]
            assert subject["text"] == f"podinfo.{namespace}"
            found.append((path, text["text"]))
    return found
