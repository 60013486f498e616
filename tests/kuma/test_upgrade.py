"""Kuma is upgraded in the midst of rollouts, from 2.7 over 2.14 to 3.0, in one lab with its state
kept. Each route is written anew in the next dialect, each rollout goes on to its end, no step is
left out, and callers never get a version that the status does not allow.

The lab starts anew with each upgrade, and all pods with it. So callers end there and others begin;
and as no pod of the canary is available then, its traffic is taken off it and its analysis begins
with the first step again.
"""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from serinus.lab import world
from serinus.lab.demo import manifests
from serinus.lab.demo.pace import Pace, shortened
from story.callers import TESTER, Answer, Caller, read_answers
from story.routes import check_route_at_rest, golden_at_rest, only_route
from story.story_lab import StoryLab, story_lab
from telling import section

pytestmark = [pytest.mark.story, pytest.mark.lab, pytest.mark.timeout(600)]

LAB = "kuma-upgrade"
PACE = Pace(interval="3s", success_rate="8s", request_duration="8s", hey="60s")
ADVANCES = [f"Advance podinfo.test canary weight {weight}" for weight in range(10, 51, 10)]
MODE = '{"spec": {"meshServices": {"mode": "Exclusive"}}}'
BATCH = 10
"""Requests between two looks at the status, at 20 a second."""

_TOLD: list[str] = []
section("Kuma: upgrades in mid-rollout", lambda: _TOLD)


def tell(title: str, answers: list[Answer]) -> None:
    counts = Counter(str(answer) for answer in answers if answer.side != "failed")
    counts["failed"] = sum(answer.side == "failed" for answer in answers)
    _TOLD.append(f"{title}: " + ", ".join(f"{who} {n}" for who, n in sorted(counts.items())))


@dataclass(frozen=True, slots=True)
class Rollout:
    """From one version to another."""

    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Look:
    """What was answered between two looks at the status: phase and weight before and after."""

    before: tuple[str, int]
    after: tuple[str, int]
    answers: list[Answer]

    def strangers(self, rollout: Rollout) -> list[str]:
        """The answers that neither of the two statuses allows."""
        allowed = allowed_at(*self.before, rollout) | allowed_at(*self.after, rollout)
        return [
            f"{answer} between {self.before} and {self.after}"
            for answer in self.answers
            if answer.side != "failed" and answer not in allowed
        ]


def allowed_at(phase: str, weight: int, rollout: Rollout) -> set[Answer]:
    """Who may answer while the status says that.

    Callers hear of a route a moment after the status is written, and in Finalising the operator
    waits for that moment.
    """
    old, new = Answer("primary", rollout.old), Answer("primary", rollout.new)
    canary = Answer("canary", rollout.new)
    match phase:
        case "Progressing":
            return {old, canary} if weight else {old}
        case "Promoting":
            return {old, new, canary}
        case "Finalising":
            return {new, canary}
        case "Succeeded":
            return {new}
    return {old}


class Watch:
    """Asks the apex and the status in turn, and keeps what it saw of one rollout."""

    def __init__(self, lab: StoryLab, rollout: Rollout) -> None:
        self._lab = lab
        self.rollout = rollout
        self.looks: list[Look] = []

    def until(self, holds: Callable[[str, int], bool], what: str) -> None:
        """Look on until the status is so."""
        before = self.status()

        def there() -> bool:
            nonlocal before
            answers = self._ask()
            after = self.status()
            look = Look(before, after, answers)
            self.looks.append(look)
            assert not look.strangers(self.rollout)
            before = after
            return holds(*after)

        self._lab.until(there, 180, what)

    def status(self) -> tuple[str, int]:
        """Phase and weight."""
        status = self._lab.canary()
        return status["phase"], status.get("canaryWeight", 0)

    def _ask(self) -> list[Answer]:
        url = f"http://podinfo.test:9898/?[1-{BATCH}]"
        command = f"curl -s --max-time 10 --rate 20/s -w '\\n@%{{http_code}}\\n' '{url}'"
        # curl's own exit code tells of requests that failed; they are among the answers.
        return read_answers(self._lab.sh(f'{TESTER} sh -c "{command} || true"'))


@pytest.mark.parametrize(
    ("before", "after", "answer"),
    [
        (("Initialized", 0), ("Progressing", 0), Answer("canary", "2")),
        (("Progressing", 10), ("Progressing", 20), Answer("primary", "2")),
        (("Promoting", 50), ("Finalising", 0), Answer("canary", "1")),
        (("Finalising", 0), ("Succeeded", 0), Answer("primary", "1")),
        (("Succeeded", 0), ("Succeeded", 0), Answer("canary", "2")),
    ],
)
def test_who_answers_out_of_turn_is_found(
    before: tuple[str, int], after: tuple[str, int], answer: Answer
) -> None:
    look = Look(before, after, [answer])
    assert look.strangers(Rollout("1", "2")) == [f"{answer} between {before} and {after}"]


def begun(lab: StoryLab, rollout: Rollout) -> Watch:
    """The rollout, when it has its first weight."""
    watch = Watch(lab, rollout)
    lab.set_image(rollout.new)
    watch.until(lambda phase, weight: weight > 0, "the first weight")
    return watch


def upgrade(lab: StoryLab, kuma: str, watch: Watch) -> None:
    """Have the lab go on with another Kuma, and wait until somebody is answered in it again."""
    at = watch.looks[-1].after
    user = Caller(lab, "test", "user", rate=20)
    lab.until(lambda: user.so_far > BATCH, 30, "answers")
    title = f"{lab.info.kuma} -> {kuma} at weight {at[1]}"
    lab.info = world.upgrade(LAB, kuma)
    seen = user.answers()
    assert not Look(at, watch.status(), seen).strangers(watch.rollout)
    tell(f"{title}, to its end", seen)
    lab.until(lambda: is_answered(lab), 60, "an answer")


def is_answered(lab: StoryLab) -> bool:
    """Whether the load tester is up, and podinfo for it."""
    asking = f"{TESTER} curl -sf -o /dev/null http://podinfo.test:9898/"
    return lab.sh(f"{asking} && echo yes || true") == "yes\n"


def end(lab: StoryLab, watch: Watch, dialect: str) -> None:
    """The rollout comes to its end under the new Kuma, by every step and in the new dialect."""
    since = len(watch.looks)
    watch.until(lambda phase, weight: phase == "Succeeded", "the end")
    advances = [text for text in told_since_start(lab) if text.startswith("Advance ")]
    assert advances == ADVANCES
    check_route_at_rest(lab, dialect)
    after = [answer for look in watch.looks[since:] for answer in look.answers]
    tell(f"{lab.info.kuma} from then on", after)
    assert [answer for answer in after if answer.side == "failed"] == []
    assert Answer("canary", watch.rollout.new) in after
    primary = lab.get("-n test deployment/podinfo-primary")["spec"]["template"]["spec"]
    assert primary["containers"][0]["image"].endswith(f":{watch.rollout.new}")


def told_since_start(lab: StoryLab) -> list[str]:
    """What the operator told of the canary since the lab was started anew."""
    lines = lab.sh("kubectl -n kong-mesh-system logs deployment/flagger").splitlines()
    said = [json.loads(line) for line in lines]
    return [one["msg"] for one in said if one.get("canary") == "podinfo.test"]


def test_rollouts_go_on_through_upgrades() -> None:
    with story_lab(LAB, "2.7") as lab:
        canary = shortened(manifests.guide_canary().read_text(), PACE)
        lab.prepare(canary.replace("stepWeight: 5", "stepWeight: 10"))
        check_route_at_rest(lab, "service-tag-system")

        watch = begun(lab, Rollout("6.0.0", "6.0.1"))
        upgrade(lab, "2.14", watch)
        end(lab, watch, "service-tag")

        watch = begun(lab, Rollout("6.0.1", "6.0.2"))
        with_mesh_services(lab, watch)
        upgrade(lab, "3.0", watch)
        end(lab, watch, "labels")


def with_mesh_services(lab: StoryLab, watch: Watch) -> None:
    """What a person does between the two upgrades, here in mid-rollout, too."""
    user = Caller(lab, "test", "user", rate=20)
    lab.sh(f"kubectl patch mesh default --type=merge -p '{MODE}'")
    watch.until(lambda *_: names_services(lab), "a route by names")
    user.stop()
    seen = user.answers()
    assert [answer for answer in seen if answer.side == "failed"] == []
    tell("2.14, its Mesh gets MeshServices", seen)


def names_services(lab: StoryLab) -> bool:
    reference = only_route(lab)["spec"]["to"][0]["targetRef"]
    return reference == golden_at_rest("meshservice-name")["spec"]["to"][0]["targetRef"]
