"""What goes wrong around a rollout, in one lab: bad canaries beside it, its operator killed, its
Prometheus away, a version that is slow. The rollout always ends as it should have."""

import os
import signal
from collections.abc import Iterator

import pytest

from serinus.lab.demo import manifests
from serinus.lab.demo.pace import shortened
from serinus.lab.mesh.versions import DEFAULT
from story.story_lab import KUMAS, StoryLab, Terminal, Told, processes_below, story_lab

pytestmark = [pytest.mark.story, pytest.mark.lab, pytest.mark.timeout(300)]

OPERATOR = "-n kong-mesh-system"
PROMETHEUS = "-n mesh-observability deployment/prometheus-server"


@pytest.fixture(scope="module", params=KUMAS or [DEFAULT.name])
def lab(request: pytest.FixtureRequest) -> Iterator[StoryLab]:
    """Initialised with 6.0.0. The tests below roll out one version each, in their order."""
    kuma: str = request.param
    with story_lab("story-faults", kuma) as playing:
        playing.prepare(shortened(manifests.guide_canary().read_text()))
        yield playing


@pytest.fixture
def told(lab: StoryLab) -> Iterator[Told]:
    listening = Told(lab)
    yield listening
    listening.close()


def another(name: str, old: str, new: str) -> str:
    """The guide's canary under another name, with one change."""
    text = manifests.guide_canary().read_text()
    changed = text.replace("\n  name: podinfo\n", f"\n  name: {name}\n", 1).replace(old, new, 1)
    assert changed.count(new) >= 1
    return changed


def primary_image(lab: StoryLab) -> str:
    pod = lab.get("-n test deployment/podinfo-primary")["spec"]["template"]["spec"]
    image: str = pod["containers"][0]["image"]
    return image.rpartition(":")[2]


def test_an_unknown_field_is_refused_by_name(lab: StoryLab) -> None:
    manifest = another("misspelt", "stepWeight: 5", "stepWieght: 5\n    stepWeight: 5")
    words = lab.sh("kubectl apply --validate=strict -f -", stdin=manifest, ok=False)
    assert 'unknown field "spec.analysis.stepWieght"' in words


@pytest.mark.parametrize(
    ("old", "new", "path"),
    [
        ("interval: 30s", "interval: -30s", "spec.analysis.interval"),
        ("progressDeadlineSeconds: 60", "provider: ingress-of-mine", "spec.provider"),
    ],
)
def test_what_the_schema_forbids_is_refused_at_once(
    lab: StoryLab, old: str, new: str, path: str
) -> None:
    words = lab.sh("kubectl apply -f -", stdin=another("forbidden", old, new), ok=False)
    assert path in words


@pytest.mark.parametrize(
    ("name", "old", "new", "path"),
    [
        ("heavy", "maxWeight: 50", "maxWeight: 150", "spec.analysis.maxWeight"),
        ("lonely", "kind: Deployment\n    name: podinfo", "kind: Deployment\n    name: absent",
         "spec.targetRef.name"),
        ("elsewhere", "spec:\n", "spec:\n  provider: istio\n", "spec.provider"),
    ],
)  # fmt: skip
def test_what_cannot_be_obeyed_is_said_with_its_field(
    lab: StoryLab, name: str, old: str, new: str, path: str
) -> None:
    lab.sh("kubectl apply -f -", stdin=another(name, old, new))
    try:
        lab.sh(f"kubectl -n test wait canary/{name} --for=condition=Ready=false --timeout=60s")
        conditions = {one["type"]: one for one in lab.canary(name)["conditions"]}
        assert conditions["Ready"]["reason"] == "Refused"
        assert path in conditions["Ready"]["message"]
        lab.until(
            lambda: path in lab.sh(f"kubectl -n test events --for canary/{name} --types=Warning"),
            10,
            f"a warning that names {path}",
        )
        assert lab.canary()["phase"] in {"Initialized", "Succeeded", "Failed"}
    finally:
        lab.sh(f"kubectl -n test delete canary {name}")


def test_an_operator_that_is_killed_goes_on_where_it_was(lab: StoryLab, told: Told) -> None:
    lab.set_image("6.0.1")
    lab.until_weight(15)
    killed = [
        pid
        for pid, line in processes_below(lab.info.pid)
        if "-m serinus.operator" in line and "bwrap" not in line
    ]
    assert killed
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    lab.until_weight(30)
    lab.sh(f"kubectl {OPERATOR} delete pod -l app.kubernetes.io/name=flagger")
    lab.until_phase("Succeeded", 180)
    assert primary_image(lab) == "6.0.1"
    advances = [line for line in told.lines if line.startswith("Advance ")]
    steps = [int(line.rpartition(" ")[2]) for line in advances]
    assert steps == sorted(steps)
    assert steps[-1] == 50


def test_nothing_is_promoted_while_prometheus_is_away(lab: StoryLab, told: Told) -> None:
    lab.set_image("6.0.2")
    lab.until_weight(10)
    lab.sh(f"kubectl scale {PROMETHEUS} --replicas=0")
    try:
        lab.until_phase("Failed")
    finally:
        lab.sh(f"kubectl scale {PROMETHEUS} --replicas=1")
    assert primary_image(lab) == "6.0.1"
    told.must_hold(
        [
            r"Prometheus query failed for request-success-rate: .+",
            r"Rolling back podinfo\.test failed checks threshold reached 5",
            r"Canary failed! Scaling down podinfo\.test",
        ],
        since=0,
    )
    assert lab.canary()["canaryWeight"] == 0
    lab.sh(f"kubectl rollout status {PROMETHEUS} --timeout=60s")


def test_a_slow_version_is_rolled_back_also_by_another_operator(lab: StoryLab, told: Told) -> None:
    lab.set_image("6.0.3")
    lab.until_weight(10)
    pods = lab.sh("kubectl -n test get pods -l app=flagger-loadtester -o name")
    pod = pods.strip().removeprefix("pod/")
    shell = Terminal(lab, "kubectl", "-n", "test", "exec", "-it", pod, "--", "sh")
    shell.type("watch -n 1 curl http://podinfo-canary.test:9898/delay/1\n")
    lab.until(lambda: lab.canary()["failedChecks"] >= 2, 60, "two failed checks")
    lab.sh(f"kubectl {OPERATOR} delete pod -l app.kubernetes.io/name=flagger")
    lab.until_phase("Failed")
    shell.leave()
    told.must_hold(
        [
            r"Halt podinfo\.test advancement request duration \d\.\d\ds > 0\.5s",
            r"Rolling back podinfo\.test failed checks threshold reached 5",
            r"Canary failed! Scaling down podinfo\.test",
        ],
        since=0,
    )
    assert primary_image(lab) == "6.0.1"
