"""A person chooses the dialect: for one canary by its annotation, for all by a flag."""

from typing import Any

from executor.scene import Scene
from serinus.routing.kuma.dialect import ANNOTATION

Object = dict[str, Any]


def chosen(scene: Scene, word: str) -> Object:
    canary = scene.canary()
    canary["metadata"]["annotations"] = {ANNOTATION: word}
    return canary


def backends(scene: Scene) -> list[str]:
    """What the route leads to by name, now."""
    route = scene.routes.latest.get("podinfo", {"spec": {"to": []}})
    return [
        ref["name"]
        for entry in route["spec"]["to"]
        for ref in entry["rules"][0]["default"]["backendRefs"]
    ]


def names(scene: Scene) -> list[str]:
    return ["podinfo-primary", "podinfo-canary"]


def tags(scene: Scene) -> list[str]:
    return [f"{name}_{scene.namespace}_svc_9898" for name in names(scene)]


def test_an_annotation_goes_before_a_flag_and_may_change(scene: Scene) -> None:
    scene.start("-kuma-dialect=trafficroute")
    scene.begin(chosen(scene, "service-tag"))
    scene.routes.until(lambda: backends(scene) == tags(scene))
    scene.patch(
        "canary", "podinfo", {"metadata": {"annotations": {ANNOTATION: "meshservice-name"}}}
    )
    scene.routes.until(lambda: backends(scene) == names(scene))
    scene.patch("canary", "podinfo", {"metadata": {"annotations": {ANNOTATION: None}}})
    scene.await_ready("False", "-kuma-dialect", "mode Exclusive of mesh default")


def test_a_flag_chooses_for_all(scene: Scene) -> None:
    scene.start("-kuma-dialect=service-tag")
    scene.begin()
    scene.routes.until(lambda: backends(scene) == tags(scene))


def test_what_the_cluster_would_not_understand_is_refused(scene: Scene) -> None:
    scene.start()
    scene.apply(scene.target(), *scene.mesh_services(), chosen(scene, "meshservice-labels"))
    scene.await_ready("False", f"metadata.annotations[{ANNOTATION}]", "use meshservice-name")
    scene.apply(chosen(scene, "tags"))
    scene.await_ready("False", '"tags" is no dialect; use trafficroute, service-tag')
    scene.apply(scene.canary())
    scene.await_phase("Initialized")
