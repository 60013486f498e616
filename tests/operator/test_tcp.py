"""Whole rollouts of a canary whose port speaks no HTTP."""

from executor.scene import Object, Scene


def canary(scene: Scene) -> Object:
    made = scene.canary(metrics=[])
    made["spec"]["service"]["appProtocol"] = "tcp"
    return made


def test_connections_are_led_by_a_meshtcproute(scene: Scene) -> None:
    operator = scene.start()
    _ = scene.events
    routes = scene.watch("apis/kuma.io/v1alpha1/meshtcproutes")
    scene.begin(canary(scene))
    scene.release("v2")
    scene.await_phase("Succeeded")
    shares = []
    for route in list(routes.history):
        (entry,) = route["spec"]["to"]
        (rule,) = entry["rules"]
        split = [ref["weight"] for ref in rule["default"]["backendRefs"]]
        if split not in shares[-1:]:
            shares.append(split)
    assert shares == [[100, 0], [75, 25], [50, 50], [100, 0]]

    # Somebody's edit is put back, and told.
    scene.patch("meshtcproute", "podinfo", {"spec": {"targetRef": {"kind": "MeshSubset"}}})
    scene.await_message("Repairing the route")
    routes.until(lambda: routes.latest["podinfo"]["spec"]["targetRef"] == {"kind": "Mesh"})

    # The port speaks HTTP after all.
    scene.patch("canary", "podinfo", {"spec": {"service": {"appProtocol": "http"}}})
    routes.until(lambda: "podinfo" not in routes.latest)
    assert "podinfo" in scene.within("get", "meshhttproutes", "-o", "name")
    assert operator.stop() == 0
    assert [line for line in operator.log() if line["level"] == "error"] == []


def test_requests_cannot_be_measured_there(scene: Scene) -> None:
    scene.start()
    made = canary(scene)
    made["spec"]["analysis"]["metrics"] = [{"name": "request-duration", "threshold": 500}]
    scene.apply(scene.target(), *scene.mesh_services(), made)
    scene.await_ready("False", "spec.analysis.metrics[0].name", "templateRef")
