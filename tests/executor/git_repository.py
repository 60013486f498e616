"""A GitOps tool that applies what is in Git again and again."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from executor.scene import Scene

Object = dict[str, Any]
Apply = Callable[[Scene, list[Object]], None]


def client_side(scene: Scene, objects: list[Object]) -> None:
    scene.apply(*objects)


def server_side(scene: Scene, objects: list[Object]) -> None:
    """As Flux does: its own field manager, which takes what is in the manifest."""
    scene.within(
        *("apply", "--server-side", "--force-conflicts"),
        *("--field-manager=kustomize-controller", "-f", "-"),
        stdin="\n---\n".join(map(json.dumps, objects)),
    )


class Repository:
    """What is in Git: applied by `reconciling` again and again, counted."""

    def __init__(self, scene: Scene, apply: Apply, objects: list[Object]) -> None:
        self.scene = scene
        self.objects = objects
        self._apply = apply
        self._turn = threading.Condition()
        self._done = 0

    @contextmanager
    def reconciling(self) -> Iterator[None]:
        stopped = threading.Event()
        failures: list[AssertionError] = []

        def run() -> None:
            while not stopped.is_set():
                try:
                    self._apply(self.scene, self.objects)
                except AssertionError as failure:
                    failures.append(failure)
                    return
                with self._turn:
                    self._done += 1
                    self._turn.notify_all()

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield
        finally:
            stopped.set()
            thread.join()
        assert not failures, failures

    def applied_anew(self, times: int = 2) -> None:
        """Wait until it has been applied whole that many times; one may be under way now."""
        with self._turn:
            wanted = self._done + times + 1
            assert self._turn.wait_for(lambda: self._done >= wanted, timeout=30)
