"""`kill -9` of the operator at random moments, through many rollouts on the real API server.

    python tests/faults/kills.py [--canaries 20] [--rollouts 10] [--seed 1] [--kuma 2.14]

Every canary promotes and rolls back in an order of its own; then what happened is read from all
versions of all objects. Prints how many rollouts and kills there were and what did not hold; the
exit status is 0 when nothing of the kind was found.
"""

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[2]
if str(REPOSITORY / "tests") not in sys.path:
    sys.path.insert(0, str(REPOSITORY / "tests"))

from executor.process import Operator  # noqa: E402
from executor.scene import Scene  # noqa: E402
from faults.invariants import expected_splits, replay, rollouts, subject  # noqa: E402
from faults.real_cluster import RealCluster  # noqa: E402
from serinus.lab.mesh.versions import PLAYED, SYSTEM_NAMESPACE  # noqa: E402

Object = dict[str, Any]

STEPS = (25, 50)
INTERVAL = "1s"
PATIENCE = 400.0
"""Seconds for the whole run."""

AT_START = 0.15
"""Share of the kills that come before the operator is ready."""

LONGEST_LIFE = 1.5
"""Seconds that an operator lives at the most once it is ready."""


@dataclass
class Result:
    rollouts: int = 0
    kills: int = 0
    seconds: float = 0.0
    ends: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        ends = ", ".join(f"{count} {end}" for end, count in sorted(self.ends.items()))
        lines = [
            f"{self.rollouts} rollouts ({ends}), {self.kills} kills of the operator, "
            f"{len(self.broken)} broken invariants, {self.seconds:.0f} s"
        ]
        return "\n".join([*lines, *self.broken])


@dataclass
class Course:
    """What one canary is to go through: the ends of its rollouts, in order."""

    name: str
    ends: list[str]
    begun: int = 0
    phases: list[str] = field(default_factory=list)
    """Those that have been seen so far, without repetitions."""

    def tag(self, number: int) -> str:
        return f"v{number + 2}"

    def primary(self) -> str:
        """The image that the primary has in the end."""
        good = [number for number, end in enumerate(self.ends) if end == "Succeeded"]
        return f"play:{self.tag(good[-1]) if good else 'v1'}"


class Kills:
    """One run in one namespace of ``cluster``."""

    def __init__(self, cluster: RealCluster, scene: Scene, canaries: int, each: int, seed: int):
        self._scene = scene
        self._cluster = cluster
        self._random = random.Random(seed)
        self._courses = [
            Course(
                f"app-{number}", [self._random.choice(("Succeeded", "Failed")) for _ in range(each)]
            )
            for number in range(canaries)
        ]
        self._by_name = {course.name: course for course in self._courses}
        self._read_so_far = 0
        self._path = f"/apis/apps/v1/namespaces/{scene.namespace}/deployments"
        self.result = Result()

    def run(self) -> Result:
        scene, began = self._scene, time.monotonic()
        _ = scene.canaries, scene.routes, scene.deployments, scene.events
        for course in self._courses:
            scene.apply(
                scene.target(course.name),
                *scene.mesh_services(course.name),
                *([scene.dataplane(course.name)] if scene.by_tag else []),
                scene.canary(course.name, target=course.name, interval=INTERVAL),
            )
        operator = self._start()
        operator.wait_ready()
        for course in self._courses:
            scene.canaries.until(
                lambda name=course.name: scene.phase(name) == "Initialized", course.name, 60
            )
        deadline = time.monotonic() + PATIENCE
        while not self._all_over():
            if time.monotonic() > deadline:
                self.result.broken.append(f"not over after {PATIENCE:g} s")
                break
            operator = self._live_and_die(operator)
        operator.stop()
        self.result.seconds = time.monotonic() - began
        self._judge()
        return self.result

    def _start(self) -> Operator:
        scene = self._scene
        # Routes by service tag stand in Kuma's own namespace.
        where = ("kuma-system-namespace", SYSTEM_NAMESPACE)
        return Operator(
            self._cluster.account,
            self._cluster.root / f"{scene.namespace}.log",
            "-{}={}".format(*(where if scene.by_tag else ("namespace", scene.namespace))),
            "-minimum-interval=1s",
            "-route-propagation=50ms",
            f"-metrics-server={self._cluster.proxy.http}",
        )

    def _live_and_die(self, operator: Operator) -> Operator:
        """Let the operator live for a while, kill it, start the next."""
        if self._random.random() < AT_START:
            self._go_on_for(self._random.uniform(0.1, 1.5))
        else:
            operator.wait_ready()
            self._go_on_for(self._random.uniform(0.0, LONGEST_LIFE))
        if self._all_over():
            return operator
        operator.kill()
        operator.wait()
        self.result.kills += 1
        return self._start()

    def _go_on_for(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end and not self._all_over():
            for course in self._courses:
                self._release_next(course)
            time.sleep(0.02)

    def _release_next(self, course: Course) -> None:
        """Once the rollout before is over and the target's pods are gone."""
        if course.begun > self._ended(course) or course.begun == len(course.ends):
            return
        if self._scene.deployments.latest[course.name]["spec"]["replicas"] != 0:
            return
        failing = self._cluster.proxy.failing
        if course.ends[course.begun] == "Failed":
            failing.add(course.name)
        else:
            failing.discard(course.name)
        image = f"play:{course.tag(course.begun)}"
        patch = [
            {"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": image}
        ]
        course.begun += 1
        self._cluster.plane.api.patch(f"{self._path}/{course.name}", patch, "json-patch+json")

    def _ended(self, course: Course) -> int:
        return len(rollouts(course.phases))

    def _read(self) -> None:
        """Take in the phases that have been seen since the last time."""
        history = self._scene.canaries.history
        for one in history[self._read_so_far :]:
            course = self._by_name.get(one["metadata"]["name"])
            phase = (one.get("status") or {}).get("phase", "")
            if course is not None and course.phases[-1:] != [phase]:
                course.phases.append(phase)
            self._read_so_far += 1

    def _all_over(self) -> bool:
        self._read()
        return all(self._ended(course) == len(course.ends) for course in self._courses)

    # -- afterwards ------------------------------------------------------------------------

    def _judge(self) -> None:
        scene, result = self._scene, self.result
        objects = [
            *scene.canaries.history,
            *scene.routes.history,
            *scene.deployments.history,
        ]
        of: dict[str, list[Object]] = {course.name: [] for course in self._courses}
        for one in objects:
            if subject(one) in of:
                of[subject(one)].append(one)
        for course in self._courses:
            result.broken += [f"{course.name}: {what}" for what in self._wrong(course, of)]
            result.rollouts += self._ended(course)
            result.ends.update(rollouts(course.phases))

    def _wrong(self, course: Course, of: dict[str, list[Object]]) -> list[str]:
        scene, name = self._scene, course.name
        told = replay(name, of[name])
        wrong = list(told.broken)
        ends = rollouts(told.phases)
        if ends != course.ends:
            wrong.append(f"ended {ends} instead of {course.ends}")
        splits = expected_splits(course.ends, STEPS)
        if told.splits != splits:
            wrong.append(f"traffic went {told.splits} instead of {splits}")
        weights = [split[1] for split in splits]
        if told.weights != weights:
            wrong.append(f"the status went {told.weights} instead of {weights}")
        image = scene.image(f"{name}-primary")
        if image != course.primary():
            wrong.append(f"the primary runs {image} instead of {course.primary()}")
        said = scene.messages(name)
        for weight, most in zip(STEPS, (len(ends), course.ends.count("Succeeded")), strict=True):
            count = said[f"Advance {name}.{scene.namespace} canary weight {weight}"]
            if count > most:
                wrong.append(f"{count} times advanced to {weight} in {most} rollouts")
        return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--canaries", type=int, default=20)
    parser.add_argument("--rollouts", type=int, default=10, help="of each canary")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kuma", default="2.14", choices=PLAYED, help="whose routes there are")
    wanted = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="serinus-kills-") as root,
        RealCluster(Path(root), wanted.kuma) as cluster,
    ):
        scene = Scene(cluster)
        try:
            result = Kills(cluster, scene, wanted.canaries, wanted.rollouts, wanted.seed).run()
        finally:
            scene.close()
    sys.stdout.write(f"{result}\n")
    return 1 if result.broken else 0


if __name__ == "__main__":
    sys.exit(main())
