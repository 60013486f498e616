"""What is played in a lab of each Kuma, and what its users saw of it.

In a lab all of its namespaces are released to side by side. One is led by weights: a promotion,
then a rollback, both under a steady load. In the other each strategy is tried in turn on the same
Canary, by an edit of its analysis, and at last the Canary is deleted under its callers' eyes: a
namespace for each would be more sidecars than a user has inotify instances for. The Gateway API has
two namespaces of its own, where Kuma obeys it.
"""

import json
import re
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import yaml

from story.callers import TESTER, Answer, Caller, course, read_answers
from story.stage import Stage
from story.story_lab import StoryLab, story_lab

USERS, RATE = 5, 25
"""Of the steady load: callers, and the requests a second of each. Together more than a hundred,
since a curl that was late does not make up for it."""
ENOUGH = 5000
"""Requests that promotion and rollback have to see."""
MARK = "flagger.app/canary"
"""The annotation that says whose an object is."""
KINDS = (
    "trafficroutes.kuma.io",
    "meshhttproutes.kuma.io",
    "meshtcproutes.kuma.io",
    "meshproxypatches.kuma.io",
    "meshtimeouts.kuma.io",
    "meshretries.kuma.io",
    "httproutes.gateway.networking.k8s.io",
)
"""All that a canary's traffic may be made of."""

EXAMPLES = {
    "weights": "guide/podinfo-canary",
    "ab": "ab-testing",
    "mirror": "blue-green-mirrored",
    "affinity": "session-affinity",
}
FIELDS = {"mirror": "spec.analysis.mirror", "affinity": "spec.analysis.sessionAffinity"}
"""Strategy -> the field in which a Canary asks for it."""
INSIDER, OTHER = "-H 'X-Canary: insider'", "-H 'X-Canary: outsider'"


@dataclass(frozen=True, slots=True)
class Dialect:
    """A row of the matrix: the lab that is played in, and what its routes have to look like.

    ``home`` is the route's kind and namespace; the namespace of an object of the whole cluster is
    empty, that of the canary `APP`. ``spoken`` is how the operator's log calls the dialect; it has
    no word for the Gateway API. ``refuses`` are the strategies of which the dialect has none.
    """

    name: str
    kuma: str
    mode: str | None
    home: tuple[str, str]
    spoken: str = ""
    refuses: frozenset[str] = frozenset()
    provider: str | None = None

    @property
    def world(self) -> tuple[str, str | None]:
        """The lab's Kuma, and the mode of its Mesh."""
        return self.kuma, self.mode

    @property
    def prefix(self) -> str:
        """Of its namespaces' names in the lab."""
        return "gateway-" if self.provider else ""


APP = "(the canary's)"
_MESH_HTTP_ROUTE = ("MeshHTTPRoute", APP)
_HTTP_ROUTE = ("HTTPRoute", APP)
_NEITHER = frozenset({"mirror", "affinity"})
_BY_TAG, _BY_NAME = "MeshHTTPRoute by service tag", "MeshHTTPRoute by MeshService name"

DIALECTS = (
    Dialect("trafficroute", "1.8", None, ("TrafficRoute", ""), "TrafficRoute", _NEITHER),
    Dialect("service-tag-system", "2.7", None, ("MeshHTTPRoute", "kong-mesh-system"), _BY_TAG),
    Dialect("service-tag", "2.14", "disabled", _MESH_HTTP_ROUTE, _BY_TAG),
    Dialect("meshservice-name", "2.14", "exclusive", _MESH_HTTP_ROUTE, _BY_NAME),
    Dialect("gatewayapi-2.14", "2.14", "exclusive", _HTTP_ROUTE, "", _NEITHER, "gatewayapi:v1"),
    Dialect("labels", "3.0", None, _MESH_HTTP_ROUTE, "MeshHTTPRoute by labels"),
    Dialect("gatewayapi-3.0", "3.0", None, _HTTP_ROUTE, "", _NEITHER, "gatewayapi:v1"),
)


@dataclass(slots=True)
class Act:
    """One strategy as it was played."""

    ended: str
    """A phase, "refused" or "gone"."""
    seen: dict[str, list[Answer]] = field(default_factory=dict)
    """What each caller was answered, in order."""
    told: list[str] = field(default_factory=list)
    """The canary's events so far."""
    found: dict[str, Any] = field(default_factory=dict)
    """What else was looked at, by what it is called."""

    @property
    def all(self) -> list[Answer]:
        """Whoever was answered."""
        return [answer for answers in self.seen.values() for answer in answers]

    def count(self, side: str) -> int:
        """How many of all answers came from there."""
        return sum(answer.side == side for answer in self.all)

    def none_failed(self) -> bool:
        """Whether each request was answered with a 200; AssertionError says whose was not."""
        failed = [
            f"{name}: {answer}, answer {place + 1} of {len(answers)}, in {course(answers)}"
            for name, answers in self.seen.items()
            for place, answer in enumerate(answers)
            if answer.side == "failed"
        ]
        assert not failed, "\n".join([*failed, self.found.get("sidecar", "")])
        return True


@dataclass(slots=True)
class Played:
    """The acts of one dialect by what they are called, and what went wrong between them."""

    acts: dict[str, Act] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    def act(self, name: str) -> Act:
        assert name in self.acts, "\n".join([f"{name} came to no end", *self.wrong])
        return self.acts[name]


class MatrixStage(Stage):
    """The namespaces of one lab. Each example is written for the dialect of its namespace."""

    def __init__(self, lab: StoryLab, dialects: list[Dialect]) -> None:
        self.weights = {f"{dialect.prefix}weights": dialect for dialect in dialects}
        self.others = {f"{dialect.prefix}others": dialect for dialect in dialects}
        examples = dict.fromkeys(self.weights, EXAMPLES["weights"])
        super().__init__(lab, examples | dict.fromkeys(self.others, EXAMPLES["ab"]))

    def manifest(self, namespace: str, example: str, interval: str = "1s") -> str:
        dialect = (self.weights | self.others)[namespace]
        canary = yaml.safe_load(super().manifest(namespace, example))
        spec = canary["spec"]
        if dialect.provider:
            spec["provider"] = dialect.provider
            parent = {"group": "", "kind": "Service", "name": "podinfo"}
            spec["service"]["gatewayRefs"] = [parent]
        if namespace in self.weights:
            spec["analysis"]["stepWeight"] = 10
        else:
            spec["revertOnDeletion"] = True
            # Nothing here is to fail, so what is hurried may find no samples for a while.
            spec["analysis"] |= {"interval": interval, "threshold": 20}
        if example == EXAMPLES["mirror"]:
            spec["analysis"]["iterations"] = 10
        if example == EXAMPLES["affinity"] and "affinity" not in dialect.refuses:
            spec["service"]["timeout"] = "15s"
            spec["service"]["retries"] = {"attempts": 2, "perTryTimeout": "5s", "retryOn": "5xx"}
        return yaml.safe_dump(canary)

    def by_connection(self, namespace: str) -> str:
        """A canary whose port is to be TCP, which Kuma's own provider leads by weights alone."""
        canary = yaml.safe_load(super().manifest(namespace, EXAMPLES["weights"]))
        spec = canary["spec"]
        spec["service"] = {"port": 9898, "targetPort": 9898, "appProtocol": "tcp"}
        spec["analysis"] = {"interval": "1s", "threshold": 5, "maxWeight": 50, "stepWeight": 25}
        return yaml.safe_dump(canary)

    def try_next(self, namespace: str, strategy: str, interval: str = "1s") -> None:
        """Make the canary another example's, by an edit. What is to be looked at in mid-rollout
        wants an ``interval`` that leaves a busy machine the time."""
        manifest = self.manifest(namespace, EXAMPLES[strategy], interval)
        self.lab.sh("kubectl apply -f -", stdin=manifest)

    def refusal(self, namespace: str) -> str:
        """Why the canary is not obeyed; empty when it is."""
        conditions = self.status(namespace).get("conditions") or []
        return next(
            (
                str(one["message"])
                for one in conditions
                if (one["type"], one["status"]) == ("Ready", "False")
            ),
            "",
        )

    def until_weight(self, namespace: str, weight: int) -> dict[str, Any]:
        """The status of the rollout under way, once its canary has at least that weight."""
        return self.until(
            namespace,
            lambda status: (
                status["phase"] == "Progressing" and status.get("canaryWeight", 0) >= weight
            ),
            f"weight {weight}",
        )

    def ours(self, namespace: str) -> set[tuple[str, str]]:
        """Kind and namespace of all that is in the cluster for the traffic of a canary."""
        served = set(self.lab.sh("kubectl api-resources -o name").split())
        kinds = ",".join(kind for kind in KINDS if kind in served)
        return {
            (one["kind"], one["metadata"].get("namespace", ""))
            for one in self.lab.get(f"{kinds} -A")["items"]
            if one["metadata"].get("annotations", {}).get(MARK) == f"{namespace}/podinfo"
        }

    def spoken(self) -> set[str]:
        """The dialects that routes are written in, as the operator says in its log."""
        logs = self.lab.sh("kubectl -n kong-mesh-system logs deployment/flagger")
        lines = [json.loads(line) for line in logs.splitlines()]
        return {line["dialect"] for line in lines if line.get("msg") == "routes"}

    def sidecar(self, namespace: str) -> str:
        """What the callers' Envoy has counted of its clusters for a namespace and of requests for
        which it had none, and what it complained about."""
        stats = f"http://127.0.0.1:9901/stats?usedonly&filter=no_cluster|no_route|{namespace}"
        inside = TESTER.replace("-c loadtester", "-c kuma-sidecar")
        logs = TESTER.split(" exec ")[0] + " logs deployment/flagger-loadtester -c kuma-sidecar"
        return self.lab.sh(f"{inside} curl -s '{stats}'; {logs}")

    def delete(self, namespace: str) -> None:
        """Delete the canary, and see that of its traffic nothing is left."""
        self.lab.sh(f"kubectl -n {namespace} delete canary/podinfo --timeout=90s")
        self.lab.until(lambda: not self.ours(namespace), 30, f"nothing of {namespace} is left")


def play(dialects: list[Dialect]) -> dict[str, Played]:
    """Play a whole lab, and what was seen in each of its dialects."""
    kuma, mode = dialects[0].world
    played = {dialect.name: Played() for dialect in dialects}

    def perform(scenes: Scenes, namespace: str, dialect: Dialect) -> None:
        for name, act in scenes(stage, namespace, dialect):
            if act.count("failed"):
                act.found["sidecar"] = stage.sidecar(namespace)
            played[dialect.name].acts[name] = act

    with story_lab("kuma-matrix", kuma, mode) as lab:
        stage = MatrixStage(lab, dialects)
        stage.prepare()
        with ThreadPoolExecutor(2 * len(dialects)) as people:
            going = [
                (dialect, people.submit(perform, scenes, namespace, dialect))
                for scenes, places in (
                    (through_weights, stage.weights),
                    (through_others, stage.others),
                )
                for namespace, dialect in places.items()
            ]
    for dialect, one in going:
        error = one.exception()
        if error is not None:
            # The tests that ask for what is missing tell it.
            played[dialect.name].wrong += traceback.format_exception(error)
    return played


Scenes = Callable[[MatrixStage, str, Dialect], Iterator[tuple[str, Act]]]


@contextmanager
def calling(act: Act, *callers: Caller) -> Iterator[None]:
    """While the context lasts, callers call; then their answers are the act's."""
    try:
        yield
    finally:
        for caller in callers:
            caller.stop()
        act.seen |= {caller.name: caller.answers() for caller in callers}


def through_weights(
    stage: MatrixStage, namespace: str, dialect: Dialect
) -> Iterator[tuple[str, Act]]:
    """A promotion, a rollback, both under one steady load, and a deletion that leaves nothing."""
    promotion, rollback, whole = Act("Succeeded"), Act("Failed"), Act("")
    names = [f"user-{number}" for number in range(1, USERS + 1)]
    users = [Caller(stage.lab, namespace, name, rate=RATE) for name in names]
    began = time.monotonic()
    with calling(whole, *users):
        stage.release(namespace, "6.0.1")
        stage.until_weight(namespace, 1)
        promotion.found["routes"] = stage.ours(namespace)
        promotion.found["spoken"] = stage.spoken()
        stage.until_phase(namespace, "Succeeded")
        promotion.told = stage.told(namespace)
        stage.release(namespace, "6.0.2")
        stage.until_weight(namespace, 20)
        failing = {"host": "podinfo-canary", "path": "/status/500"}
        with calling(Act(""), Caller(stage.lab, namespace, "failing", rate=20, **failing)):
            stage.until_phase(namespace, "Failed")
        rollback.told = stage.told(namespace)
        stage.lab.until(lambda: sum(user.so_far for user in users) > ENOUGH, 120, "enough requests")
    rate = len(whole.all) / (time.monotonic() - began)
    promotion.found["rate"] = rollback.found["rate"] = rate
    for name, answers in whole.seen.items():
        turn = [answer.version for answer in answers].index("6.0.2")
        promotion.seen[name], rollback.seen[name] = answers[:turn], answers[turn:]
    yield "weights", promotion
    yield "rollback", rollback
    stage.delete(namespace)
    yield "deletion", Act("gone")


def through_others(
    stage: MatrixStage, namespace: str, dialect: Dialect
) -> Iterator[tuple[str, Act]]:
    """Each other strategy in turn on one Canary, which is deleted at last in mid-rollout."""
    yield "ab", ab_testing(stage, namespace)
    for strategy, scene in (("mirror", mirroring), ("affinity", affinity)):
        if strategy in dialect.refuses:
            yield strategy, refused(stage, namespace, strategy)
        else:
            stage.try_next(namespace, strategy, "3s" if strategy == "affinity" else "1s")
            yield strategy, scene(stage, namespace)
    if "affinity" in dialect.refuses:
        # The version that was released while the canary was refused.
        stage.try_next(namespace, "ab", "5s")
        stage.until(namespace, lambda status: status.get("iterations", 0) > 0, "an iteration")
    yield "finalise", finalise(stage, namespace)
    if dialect.provider:
        yield "tcp", by_connection(stage, namespace, f"meshtcproute-{dialect.kuma}")


def ab_testing(stage: MatrixStage, namespace: str) -> Act:
    act = Act("Succeeded")
    options = {"header": INSIDER, "cookie": "-b 'theme=dark; canary=always'"}
    options |= {"no-header": "", "other-header": OTHER}
    callers = [Caller(stage.lab, namespace, name, option) for name, option in options.items()]
    with calling(act, *callers):
        stage.release(namespace, "6.0.1")
        stage.until_phase(namespace, "Succeeded")
    return act


def mirroring(stage: MatrixStage, namespace: str) -> Act:
    act = Act("Succeeded")
    with calling(act, Caller(stage.lab, namespace, "mirrored")):
        stage.release(namespace, "6.0.2")
        stage.until(
            namespace,
            lambda status: status["phase"] == "Progressing" and status.get("iterations", 0) > 0,
            "an iteration",
        )
        stage.lab.until(lambda: not mirrored(stage, namespace, act), 60, "the end of mirroring")
        stage.until_phase(namespace, "Succeeded")
    act.told = stage.told(namespace)
    return act


def mirrored(stage: MatrixStage, namespace: str, act: Act) -> bool:
    """Whether requests are still copied; then the copies that the canary counted are the act's.

    Its pod is asked itself, and does not count scrapes. As long as it has no weight there is
    nothing else that it could have got.
    """
    metrics = stage.lab.sh(f"{TESTER} curl -s http://podinfo-canary.{namespace}:9898/metrics")
    status = stage.status(namespace)
    if status["phase"] != "Progressing" or status["canaryWeight"] > 0:
        return False
    counts = re.findall(r'_count\{method="GET",path="/",[^}]*\} (\d+)', metrics)
    act.found["copies"] = sum(map(int, counts))
    return True


def affinity(stage: MatrixStage, namespace: str) -> Act:
    """A rollout to its end, and the next one with other cookies, which is left under way."""
    act = Act("Succeeded")
    users = [Caller(stage.lab, namespace, f"held-{n}", cookies=True) for n in (1, 2, 3)]
    with calling(act, *users, Caller(stage.lab, namespace, "no-cookies")):
        stage.release(namespace, "6.0.3")
        status = stage.until_weight(namespace, 1)
        first = status["sessionAffinityCookie"]
        # The status comes before what it asks for, which is there by the next step.
        stage.until_weight(namespace, status["canaryWeight"] + 1)
        act.found["routes"] = stage.ours(namespace)
        stage.until_phase(namespace, "Succeeded")
    act.found["jars"] = [user.jar() for user in users]
    stage.release(namespace, "6.0.4")
    second = stage.until_weight(namespace, 1)["sessionAffinityCookie"]
    act.found |= {"first": first, "second": second}
    act.found["stale"], act.found["fresh"] = (
        asked(stage, namespace, cookie) for cookie in (first, second)
    )
    return act


def asked(stage: MatrixStage, namespace: str, cookie: str) -> list[Answer]:
    """The answers to thirty requests with a cookie."""
    url = f"http://podinfo.{namespace}:9898/?[1-30]"
    command = f"{TESTER} curl -s -b '{cookie}' -w '\\n@%{{http_code}}\\n' '{url}'"
    return read_answers(stage.lab.sh(command))


def refused(stage: MatrixStage, namespace: str, strategy: str) -> Act:
    """What the dialect has not is told by field, and a version that is released then stays where
    it is."""
    act = Act("refused")
    version = {"mirror": "6.0.2", "affinity": "6.0.3"}[strategy]
    with calling(act, Caller(stage.lab, namespace, f"not-{strategy}", INSIDER)):
        stage.try_next(namespace, strategy)
        stage.lab.until(
            lambda: FIELDS[strategy] in stage.refusal(namespace), 30, f"{strategy} refused"
        )
        stage.release(namespace, version)
        stage.lab.until(
            lambda: any(
                text.startswith("Refusing") and FIELDS[strategy] in text
                for text in stage.told(namespace)
            ),
            30,
            f"the refusal of {strategy} told",
        )
    act.found["refusal"] = stage.refusal(namespace)
    return act


def finalise(stage: MatrixStage, namespace: str) -> Act:
    act, lab = Act("gone"), stage.lab
    act.found["before"] = stage.ours(namespace)
    caller, insider = (
        Caller(lab, namespace, name, option, rate=20)
        for name, option in (("no-header", ""), ("header", INSIDER))
    )
    with calling(act, caller, insider):
        lab.until(lambda: caller.so_far and insider.so_far, 30, "answers")
        act.found["phase"] = stage.status(namespace)["phase"]
        stage.delete(namespace)
        act.found["selector"] = lab.get(f"-n {namespace} service/podinfo")["spec"]["selector"]
        mark = caller.so_far
        lab.until(lambda: caller.so_far >= mark + 40, 30, "answers after the end")
    return act


def by_connection(stage: MatrixStage, namespace: str, dialect: str) -> Act:
    """The deleted canary comes back, by another provider and for TCP. Each of the caller's requests
    has a connection of its own."""
    act = Act("Succeeded", found={"dialect": dialect})
    stage.lab.sh("kubectl apply -f -", stdin=stage.by_connection(namespace))
    stage.until_phase(namespace, "Initialized")
    with calling(act, Caller(stage.lab, namespace, "tcp", "-H 'Connection: close'", rate=20)):
        stage.release(namespace, "6.0.5")
        stage.until_weight(namespace, 1)
        act.found["routes"] = stage.ours(namespace)
        stage.until_phase(namespace, "Succeeded")
    return act
