"""The operator as shipped, on real control planes of Kubernetes and of Kuma: one promotion and one
rollback, its routes written through Kuma's own webhooks, the sidecars injected by Kuma, and the
Dataplanes that it looks for made by Kuma."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from executor.peers import Peers
from executor.scene import Furnished, Scene
from executor.scene import scene as new_scene
from faults.invariants import expected_splits, replay
from faults.test_rollouts import Stage
from kuma.real.peer import RealKuma
from serinus.lab.mesh.versions import SYSTEM_NAMESPACE

pytestmark = pytest.mark.realkuma

Object = dict[str, Any]

DIALECTS = {
    "1.8.1": ("before 2.1", "TrafficRoute"),
    "2.7.20": ("2.3 to 2.8", "MeshHTTPRoute by service tag"),
}
"""What `serinus check` says of each: its version, by its kinds, and the dialect."""


class OnRealKuma(Furnished):
    """What a `Scene` plays in. Kuma is there already; added are the canaries' kinds and the
    operator's account."""

    token = "admin-token"

    def __init__(self, kuma: RealKuma) -> None:
        self.kuma = kuma
        self.root = kuma.root
        self.version = kuma.lab.name

    @contextmanager
    def furnished(self) -> Iterator["OnRealKuma"]:
        with Peers(self.address) as self.peers:
            self.write_account(self.install())
            yield self

    @property
    def address(self) -> str:
        return self.kuma.plane.address

    def kubectl(self, *arguments: str, stdin: str | None = None, check: bool = True) -> str:
        return self.kuma.plane.kubectl(*arguments, stdin=stdin, check=check)

    def apply(self, *objects: Object) -> None:
        self.kuma.plane.apply(*objects)

    def all(self, kind: str, namespace: str = "default", selector: str = "") -> list[Object]:
        return self.kuma.plane.all(kind, namespace, selector)


@pytest.fixture
def scene(kuma: RealKuma) -> Iterator[Scene]:
    with OnRealKuma(kuma).furnished() as cluster, new_scene(cluster) as made:
        made.kubectl("label", "namespace", made.namespace, "kuma.io/sidecar-injection=enabled")
        yield made


def checked(kubeconfig: Path, *words: str) -> Object:
    """What `serinus check` says, as JSON."""
    command = [Path(sys.executable).with_name("serinus"), "check", "-o", "json", *words]
    done = subprocess.run(
        [*command, "--kubeconfig", kubeconfig], capture_output=True, text=True, check=False
    )
    assert done.returncode in (0, 1), done.stderr
    report: Object = json.loads(done.stdout)
    return report


@pytest.mark.parametrize("kuma", DIALECTS, indirect=True)
def test_a_promotion_and_a_rollback(kuma: RealKuma, scene: Scene) -> None:
    _ = scene.routes, scene.events, scene.deployments, scene.canaries
    # One for a single namespace may not write where Kuma 2.7 wants its routes.
    operator = scene.start(everywhere=True)
    scene.begin(scene.canary(threshold=12))
    stage = Stage(scene, operator)
    stage.roll_out(good=True)
    stage.roll_out(good=False)
    scene.deployments.until(lambda: scene.deployments.latest["podinfo"]["spec"]["replicas"] == 0)
    history = [*scene.canaries.history, *scene.routes.history, *scene.deployments.history]
    seen = replay("podinfo", history)
    assert seen.broken == []
    assert seen.splits == expected_splits(stage.ends, (25, 50))
    assert scene.image("podinfo-primary") == stage.primary
    assert [line for line in operator.log() if line["level"] == "error"] == []
    told = checked(kuma.plane.kubeconfig, "-n", scene.namespace)
    era, dialect = DIALECTS[kuma.release]
    assert told["control_planes"] == [f"{kuma.release} ({SYSTEM_NAMESPACE}/kuma-control-plane)"]
    assert told["sidecars"] == {kuma.release: 1}
    assert told["kuma"] == era
    assert [one["dialect"] for one in (*told["meshes"], *told["canaries"])] == [dialect, dialect]
