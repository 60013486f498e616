"""Where a template refers to ConfigMaps and Secrets, and what a primary makes of it."""

from copy import deepcopy

from serinus.workload.configs import ConfigUse, rename, uses
from serinus.workload.labels import PodSelector
from serinus.workload.primary import primary_template
from workload.guide import Json

EVERYWHERE: Json = {
    "volumes": [
        {"name": "a", "configMap": {"name": "volume"}},
        {"name": "b", "secret": {"secretName": "volume", "optional": True}},
        {
            "name": "c",
            "projected": {
                "sources": [
                    {"serviceAccountToken": {"path": "token"}},
                    {"configMap": {"name": "kube-root-ca.crt"}},
                    {"configMap": {"name": "projected"}},
                    {"secret": {"name": "projected"}},
                ]
            },
        },
        {"name": "d", "emptyDir": {}},
    ],
    "initContainers": [
        {
            "name": "sidecar",
            "restartPolicy": "Always",
            "env": [
                {"name": "A", "valueFrom": {"secretKeyRef": {"name": "sidecar", "key": "a"}}},
                {"name": "B", "value": "b"},
                {"name": "C", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            ],
        }
    ],
    "containers": [
        {
            "name": "main",
            "env": [
                {"name": "A", "valueFrom": {"configMapKeyRef": {"name": "env", "key": "a"}}},
                {
                    "name": "B",
                    "valueFrom": {
                        "configMapKeyRef": {"name": "maybe", "key": "a", "optional": True}
                    },
                },
            ],
            "envFrom": [
                {"secretRef": {"name": "all"}},
                {"prefix": "X_", "configMapRef": {"name": "all", "optional": True}},
                {"configMapRef": {"name": "maybe"}},
            ],
        }
    ],
    "imagePullSecrets": [{"name": "registry"}],
}


def test_every_place_is_found_once_and_the_mandatory_one_counts() -> None:
    assert set(uses({"spec": EVERYWHERE})) == {
        ConfigUse("ConfigMap", "volume", False, "volumes[0].configMap"),
        ConfigUse("Secret", "volume", True, "volumes[1].secret"),
        ConfigUse("ConfigMap", "projected", False, "volumes[2].projected.sources[2].configMap"),
        ConfigUse("Secret", "projected", False, "volumes[2].projected.sources[3].secret"),
        ConfigUse("Secret", "sidecar", False, "initContainers[0].env[0].valueFrom.secretKeyRef"),
        ConfigUse("ConfigMap", "env", False, "containers[0].env[0].valueFrom.configMapKeyRef"),
        ConfigUse("Secret", "all", False, "containers[0].envFrom[0].secretRef"),
        ConfigUse("ConfigMap", "all", True, "containers[0].envFrom[1].configMapRef"),
        ConfigUse("ConfigMap", "maybe", False, "containers[0].envFrom[2].configMapRef"),
    }


def test_only_the_references_are_renamed_and_only_those_asked_for() -> None:
    template = {"spec": EVERYWHERE}
    copied = {(use.kind, use.name) for use in uses(template)} - {("ConfigMap", "env")}
    made = primary_template(template, PodSelector("app", "podinfo"), copied)["spec"]
    expected = deepcopy(EVERYWHERE)
    rename(expected, copied, "-primary")
    assert made == expected
    assert made["volumes"][1]["secret"]["secretName"] == "volume-primary"
    assert made["containers"][0]["envFrom"][1]["configMapRef"]["name"] == "all-primary"
    env = made["containers"][0]["env"]
    assert env[0]["valueFrom"]["configMapKeyRef"]["name"] == "env"
    assert env[1]["valueFrom"]["configMapKeyRef"]["name"] == "maybe-primary"
    sources = made["volumes"][2]["projected"]["sources"]
    assert sources[1]["configMap"]["name"] == "kube-root-ca.crt"
    assert sources[2]["configMap"]["name"] == "projected-primary"
    assert made["imagePullSecrets"] == [{"name": "registry"}]


def test_a_template_without_anything() -> None:
    assert uses({}) == ()
    assert uses({"spec": {"containers": [{"name": "a", "env": None}], "volumes": None}}) == ()
