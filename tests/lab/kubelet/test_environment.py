"""A container's variables."""

import msgspec
import pytest

from serinus.lab.kubelet.environment import ConfigError, PodFacts, environment, expand
from serinus.lab.kubelet.manifest import ConfigMap, Container, ObjectMeta, Pod, Secret
from serinus.lab.kubelet.quantity import parse_quantity


class Held:
    """One ConfigMap and one Secret, both called ``settings`` in ``test``."""

    def config_map(self, namespace: str, name: str) -> ConfigMap | None:
        found = ConfigMap(ObjectMeta(name=name), data={"COLOUR": "blue"})
        return found if (namespace, name) == ("test", "settings") else None

    def secret(self, namespace: str, name: str) -> Secret | None:
        found = Secret(ObjectMeta(name=name), data={"KEY": b"hidden"})
        return found if (namespace, name) == ("test", "settings") else None


def facts(**resources: object) -> tuple[PodFacts, Container]:
    pod = msgspec.convert(
        {
            "metadata": {
                "name": "web-1",
                "namespace": "test",
                "uid": "u-1",
                "labels": {"app": "web", "tier": "front"},
                "annotations": {"note": 'say "hi"'},
            },
            "spec": {"containers": [{"name": "web", "resources": resources}]},
        },
        Pod,
    )
    return PodFacts(pod, "10.244.0.9", "10.244.0.1", "lab"), pod.spec.containers[0]


def variables(container: dict[str, object], **resources: object) -> dict[str, str]:
    known, _ = facts(**resources)
    spec = msgspec.convert({"name": "web", "resources": resources, **container}, Container)
    return environment(known, spec, Held(), {"PATH": "/bin"})


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("$(A)-$(B)", "1-2"),
        ("$(C)", "$(C)"),
        ("$$(A)", "$(A)"),
        ("$A ${A} $", "$A ${A} $"),
        ("$(A", "$(A"),
    ],
)
def test_expansion(text: str, expanded: str) -> None:
    assert expand(text, {"A": "1", "B": "2"}) == expanded


def test_later_variables_see_earlier_ones() -> None:
    env = [{"name": "A", "value": "1"}, {"name": "B", "value": "$(A)$(Z)"}]
    env.append({"name": "Z", "value": "late"})
    assert variables({"env": env}) == {"PATH": "/bin", "A": "1", "B": "1$(Z)", "Z": "late"}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("metadata.name", "web-1"),
        ("metadata.namespace", "test"),
        ("metadata.uid", "u-1"),
        ("metadata.labels['app']", "web"),
        ("metadata.annotations['none']", ""),
        ("metadata.labels", 'app="web"\ntier="front"'),
        ("spec.nodeName", "lab"),
        ("spec.serviceAccountName", "default"),
        ("status.podIP", "10.244.0.9"),
        ("status.hostIP", "10.244.0.1"),
    ],
)
def test_fields(path: str, value: str) -> None:
    env = [{"name": "X", "valueFrom": {"fieldRef": {"fieldPath": path}}}]
    assert variables({"env": env})["X"] == value


def test_an_unknown_field_is_refused() -> None:
    env = [{"name": "X", "valueFrom": {"fieldRef": {"fieldPath": "spec.colour"}}}]
    with pytest.raises(ConfigError, match=r"spec\.colour"):
        variables({"env": env})


def test_references_and_whole_sources() -> None:
    env = [
        {"name": "C", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "COLOUR"}}},
        {"name": "S", "valueFrom": {"secretKeyRef": {"name": "settings", "key": "KEY"}}},
        {
            "name": "N",
            "valueFrom": {"secretKeyRef": {"name": "none", "key": "KEY", "optional": True}},
        },
    ]
    env_from = [{"prefix": "P_", "configMapRef": {"name": "settings"}}]
    assert variables({"env": env, "envFrom": env_from}) == {
        "PATH": "/bin",
        "P_COLOUR": "blue",
        "C": "blue",
        "S": "hidden",
    }


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ({"configMapKeyRef": {"name": "none", "key": "A"}}, 'configmap "none" not found'),
        ({"secretKeyRef": {"name": "settings", "key": "A"}}, "couldn't find key A"),
    ],
)
def test_what_is_absent_is_named(source: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        variables({"env": [{"name": "X", "valueFrom": source}]})


@pytest.mark.parametrize(
    ("ref", "value"),
    [
        ({"resource": "limits.cpu"}, "2"),
        ({"resource": "requests.cpu", "divisor": "1m"}, "100"),
        ({"resource": "limits.memory", "divisor": "1Mi"}, "64"),
        ({"resource": "requests.memory"}, str(64 * 2**20)),
    ],
)
def test_resources(ref: dict[str, object], value: str) -> None:
    env = [{"name": "X", "valueFrom": {"resourceFieldRef": ref}}]
    limits = {"cpu": "1500m", "memory": "64Mi"}
    assert variables({"env": env}, limits=limits, requests={"cpu": "100m"})["X"] == value


@pytest.mark.parametrize(
    ("text", "number"), [("100m", 0.1), ("64Mi", 64 * 2**20), ("2", 2), ("1e3", 1000), ("1k", 1000)]
)
def test_quantities(text: str, number: float) -> None:
    assert parse_quantity(text) == pytest.approx(number)


@pytest.mark.parametrize("text", ["", "m", "1x", "1 Mi"])
def test_what_is_no_quantity(text: str) -> None:
    with pytest.raises(ValueError, match="not a quantity"):
        parse_quantity(text)
