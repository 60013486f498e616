"""What may be stored, and the words for what may not."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serinus.lab.apiserver.schema.defaults import apply_defaults
from serinus.lab.apiserver.schema.field_errors import FieldError
from serinus.lab.apiserver.schema.prune import prune
from serinus.lab.apiserver.schema.registry import Kind, Registry
from serinus.lab.apiserver.schema.validation import causes, invalid_message, validate

REGISTRY = Registry.builtin()
RECORDED = Path(__file__).parent / "protobuf"


def kind_of(obj: dict[str, Any]) -> Kind:
    group, _, version = obj["apiVersion"].rpartition("/")
    kind = REGISTRY.by_kind(group, version, obj["kind"])
    assert kind is not None
    return kind


def example(name: str) -> dict[str, Any]:
    obj: dict[str, Any] = json.loads((RECORDED / f"{name}.json").read_text())
    apply_defaults(kind_of(obj), obj)
    return obj


def changed(obj: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy with the value at a dotted path (numbers are indices); None deletes."""
    result = copy.deepcopy(obj)
    *way, last = (int(part) if part.isdigit() else part for part in path.split("."))
    node: Any = result
    for part in way:
        node = node.setdefault(part, {}) if isinstance(node, dict) else node[part]
    if value is None:
        del node[last]
    else:
        node[last] = value
    return result


def texts(errors: list[FieldError]) -> list[str]:
    return [str(error) for error in errors]


@pytest.mark.parametrize("name", sorted(path.stem for path in RECORDED.glob("*.json")))
def test_what_kubectl_makes_is_valid(name: str) -> None:
    obj = example(name)
    kind = kind_of(obj)
    if kind.namespaced:
        obj["metadata"].setdefault("namespace", "test")
    else:
        obj["metadata"].pop("namespace", None)
    assert texts(validate(kind, obj)) == []
    assert texts(validate(kind, obj, copy.deepcopy(obj))) == []


@pytest.mark.parametrize(
    ("name", "path", "value", "text"),
    [
        (
            "deployment",
            "spec.replicas",
            -1,
            "spec.replicas: Invalid value: -1: must be greater than or equal to 0",
        ),
        (
            "deployment",
            "spec.replicas",
            "3",
            'spec.replicas: Invalid value: "string": spec.replicas in body must be of type '
            'integer: "string"',
        ),
        ("deployment", "spec.selector", None, "spec.selector: Required value"),
        (
            "deployment",
            "spec.template.metadata.labels",
            {"app": "other"},
            'spec.template.metadata.labels: Invalid value: {"app":"other"}: `selector` does not '
            "match template `labels`",
        ),
        (
            "deployment",
            "spec.template.spec.containers",
            [],
            "spec.template.spec.containers: Required value",
        ),
        (
            "deployment",
            "spec.template.spec.containers.1.name",
            "nginx",
            'spec.template.spec.containers[1].name: Duplicate value: "nginx"',
        ),
        (
            "deployment",
            "spec.template.spec.containers.0.image",
            None,
            "spec.template.spec.containers[0].image: Required value",
        ),
        (
            "deployment",
            "spec.template.spec.containers.0.imagePullPolicy",
            "Often",
            "spec.template.spec.containers[0].imagePullPolicy: Unsupported value: "
            '"Often": supported values: "Always", "IfNotPresent", "Never"',
        ),
        (
            "deployment",
            "spec.template.spec.containers.0.ports.0.containerPort",
            70000,
            "spec.template.spec.containers[0].ports[0].containerPort: Invalid value: 70000: must "
            "be between 1 and 65535, inclusive",
        ),
        (
            "deployment",
            "spec.template.spec.containers.0.volumeMounts",
            [{"name": "data", "mountPath": "/data"}],
            'spec.template.spec.containers[0].volumeMounts[0].name: Not found: "data"',
        ),
        (
            "deployment",
            "spec.template.spec.containers.0.resources",
            {"limits": {"cpu": "1"}, "requests": {"cpu": "2000m"}},
            'spec.template.spec.containers[0].resources.requests: Invalid value: "2000m": must '
            "be less than or equal to cpu limit of 1",
        ),
        (
            "deployment",
            "spec.template.spec.containers.0.readinessProbe",
            {"exec": {"command": ["x"]}, "tcpSocket": {"port": 80}},
            "spec.template.spec.containers[0].readinessProbe.tcpSocket: Forbidden: may not "
            "specify more than 1 handler type",
        ),
        (
            "deployment",
            "spec.template.spec.restartPolicy",
            "Never",
            'spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: '
            '"Always"',
        ),
        (
            "deployment",
            "spec.strategy.type",
            "Recreate",
            "spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` "
            "is 'Recreate'",
        ),
        (
            "deployment",
            "metadata.labels",
            {"a": "not valid"},
            'metadata.labels: Invalid value: "not valid": a valid label must be an empty string '
            "or consist of alphanumeric characters, '-', '_' or '.', and must start and end with "
            "an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used "
            "for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')",
        ),
        (
            "deployment",
            "metadata.name",
            "Web",
            'metadata.name: Invalid value: "Web": a lowercase RFC 1123 subdomain must consist of '
            "lower case alphanumeric characters, '-' or '.', and must start and end with an "
            "alphanumeric character (e.g. 'example.com', regex used for validation is "
            r"'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
        ),
        (
            "deployment",
            "metadata.name",
            None,
            "metadata.name: Required value: name or generateName is required",
        ),
        (
            "service-clusterip",
            "spec.ports.0.port",
            0,
            "spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive",
        ),
        ("service-clusterip", "spec.ports.0.name", None, "spec.ports[0].name: Required value"),
        (
            "configmap",
            "data",
            {"a/b": "c"},
            'data[a/b]: Invalid value: "a/b": a valid config key must consist of alphanumeric '
            "characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex "
            "used for validation is '[-._a-zA-Z0-9]+')",
        ),
        (
            "secret",
            "data",
            {"a": "%"},
            'data[a]: Invalid value: "<value>": illegal base64 data',
        ),
        (
            "role",
            "rules.0.verbs",
            [],
            "rules[0].verbs: Required value: verbs must contain at least one value",
        ),
        (
            "quota",
            "spec.hard",
            {"cpu": "lots"},
            'spec.hard[cpu]: Invalid value: "lots": quantities must match the regular expression '
            "'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
        ),
    ],
)
def test_what_is_wrong_is_said_in_kubernetes_words(
    name: str, path: str, value: Any, text: str
) -> None:
    obj = changed(example(name), path, value)
    assert texts(validate(kind_of(obj), obj)) == [text]


@pytest.mark.parametrize(
    ("name", "path", "value", "text"),
    [
        (
            "deployment",
            "spec.selector",
            {"matchLabels": {"app": "other"}},
            'spec.selector: Invalid value: {"matchLabels":{"app":"other"}}: field is immutable',
        ),
        (
            "rolebinding",
            "roleRef",
            {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "x"},
            "cannot change roleRef",
        ),
        ("secret", "type", "kubernetes.io/tls", "field is immutable"),
        ("deployment", "metadata.name", "other", "field is immutable"),
    ],
)
def test_what_may_not_change(name: str, path: str, value: Any, text: str) -> None:
    old = example(name)
    new = changed(old, path, value)
    assert any(text in found for found in texts(validate(kind_of(old), new, old)))


def test_a_pod_s_image_may_change_and_its_command_may_not() -> None:
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p", "namespace": "test"},
        "spec": {"containers": [{"name": "a", "image": "x"}]},
    }
    kind = kind_of(pod)
    apply_defaults(kind, pod)
    assert validate(kind, changed(pod, "spec.containers.0.image", "y"), pod) == []
    assert validate(kind, changed(pod, "spec.nodeName", "node"), pod) == []
    [wrong] = validate(kind, changed(pod, "spec.containers.0.command", ["x"]), pod)
    assert str(wrong).startswith("spec: Forbidden: pod updates may not change fields other than")


def test_a_status_of_reason_invalid() -> None:
    obj = changed(example("deployment"), "spec.replicas", -1)
    found = validate(kind_of(obj), obj)
    assert invalid_message(kind_of(obj), "web", found) == (
        'Deployment.apps "web" is invalid: spec.replicas: Invalid value: -1: must be greater than '
        "or equal to 0"
    )
    assert causes(found) == [
        {
            "reason": "FieldValueInvalid",
            "message": "Invalid value: -1: must be greater than or equal to 0",
            "field": "spec.replicas",
        }
    ]


def test_an_autoscaler_s_bounds() -> None:
    autoscaler = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "a", "namespace": "test"},
        "spec": {
            "scaleTargetRef": {"kind": "Deployment", "name": "web"},
            "minReplicas": 3,
            "maxReplicas": 2,
        },
    }
    kind = kind_of(autoscaler)
    apply_defaults(kind, autoscaler)
    assert texts(validate(kind, autoscaler)) == [
        "spec.maxReplicas: Invalid value: 2: must be greater than or equal to `minReplicas`"
    ]


NOISE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda part: (
        st.lists(part, max_size=2)
        | st.dictionaries(
            st.sampled_from(
                ["name", "ports", "containers", "spec", "metadata", "labels", "rules", "metrics"]
            ),
            part,
            max_size=3,
        )
    ),
    max_leaves=6,
)


def every_path(value: Any, path: str = "") -> list[str]:
    parts = value.items() if isinstance(value, dict) else enumerate(value)
    found = []
    for key, part in parts:
        if "." in str(key):
            continue
        here = f"{path}.{key}" if path else str(key)
        found.append(here)
        if isinstance(part, dict | list):
            found += every_path(part, here)
    return [here for here in found if not here.startswith(("apiVersion", "kind"))]


@settings(max_examples=200)
@given(st.data())
def test_no_noise_breaks_defaults_or_validation(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(path.stem for path in RECORDED.glob("*.json"))))
    obj = example(name)
    path = data.draw(st.sampled_from([here for here in every_path(obj) if "/" not in here]))
    noisy = changed(obj, path, data.draw(NOISE))
    kind = kind_of(noisy)
    noisy = prune(kind.schema, noisy)
    apply_defaults(kind, noisy)
    validate(kind, noisy)
    validate(kind, noisy, obj)
