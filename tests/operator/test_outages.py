"""Those whom the operator asks are away, or talk nonsense."""

from collections.abc import Callable

import pytest
from aiohttp import web

from executor.scene import Scene

NOTHING = {"status": "success", "data": {"resultType": "matrix", "result": []}}


def _broken(_: str) -> web.Response:
    return web.Response(status=500, text="out of memory")


def _empty(_: str) -> web.Response:
    return web.json_response(NOTHING)


def _garbage(_: str) -> web.Response:
    return web.Response(text="<html>hello</html>")


def _infinite(_: str) -> web.Response:
    series = {"metric": {"envoy_response_code": "200"}, "values": [[9e9, "NaN"]]}
    return web.json_response(
        {"status": "success", "data": {"resultType": "matrix", "result": [series]}}
    )


def _with_sidecars(answer: Callable[[str], web.Response]) -> Callable[[str], web.Response]:
    """The same, but that there are series of sidecars: else no canary would get a request."""
    one = {"resultType": "vector", "result": [{"metric": {}, "value": [9e9, "1"]}]}

    def answered(query: str) -> web.Response:
        if query.startswith("count({"):
            return web.json_response({"status": "success", "data": one})
        return answer(query)

    return answered


ANSWERS: list[tuple[Callable[[str], web.Response], str]] = [
    (_broken, "HTTP 500: out of memory"),
    (_empty, "no values found for kuma metric request-success-rate"),
    (_garbage, "makes no sense"),
    (_infinite, "Halt"),
]


def test_no_answer_of_prometheus_counts_as_a_good_one(scene: Scene) -> None:
    scene.start()
    _ = scene.events, scene.routes
    scene.begin()
    for number, (answer, words) in enumerate(ANSWERS, 2):
        scene.peers.prometheus = _with_sidecars(answer)
        scene.release(f"v{number}")
        scene.canaries.until(lambda wanted=number - 1: scene.phases().count("Failed") == wanted)
        scene.await_message(words)
    assert scene.weights() == [(100, 0), *[(75, 25), (100, 0)] * len(ANSWERS)]
    assert scene.image("podinfo-primary") == "play:v1"


def test_a_hook_that_says_no_holds_the_traffic_back(scene: Scene) -> None:
    scene.start()
    _ = scene.events, scene.routes
    hook = {"name": "gate", "type": "pre-rollout", "url": f"{scene.peers.http}/hook"}
    scene.begin(scene.canary(webhooks=[hook]))
    scene.peers.hook_status = 403
    scene.release("v2")
    scene.await_phase("Failed")
    assert scene.weights() == [(100, 0)]
    scene.await_message("pre-rollout check gate failed the hook's own words")


@pytest.mark.parametrize("version", ["1.8"])
def test_the_api_server_comes_back(scene: Scene) -> None:
    operator = scene.start()
    _ = scene.routes
    scene.hold()
    scene.cluster.kill_server()
    scene.cluster.start_server()
    checks = scene.status()["failedChecks"]
    scene.canaries.until(lambda: scene.status().get("failedChecks", 0) > checks)
    scene.peers.success = 100.0
    scene.await_phase("Succeeded")
    assert scene.weights() == [(100, 0), (75, 25), (50, 50), (100, 0)]
    assert operator.runs and operator.get("/readyz")[0] == 200
    assert [line for line in operator.log() if line["level"] == "error"] == []
