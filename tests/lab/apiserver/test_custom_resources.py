"""CustomResourceDefinitions: served at once, with schema, defaults, columns, subresources."""

from typing import Any

import pytest
import yaml

CRD = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: %(plural)s.demo.io}
spec:
  group: demo.io
  scope: Namespaced
  names: {plural: %(plural)s, kind: %(kind)s, shortNames: [%(short)s]}
  versions:
  - name: v1
    served: true
    storage: true
    subresources:
      status: {}
      scale: {specReplicasPath: .spec.replicas, statusReplicasPath: .status.replicas}
    additionalPrinterColumns:
    - {name: Size, type: integer, jsonPath: .spec.size}
    - {name: Phase, type: string, jsonPath: .status.phase}
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            required: [size]
            properties:
              size: {type: integer, minimum: 1}
              color: {type: string, default: red, enum: [red, blue]}
              replicas: {type: integer}
          status:
            type: object
            properties: {phase: {type: string}, replicas: {type: integer}}
  - name: v1beta1
    served: true
    storage: false
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
"""


def _crd(kind: str) -> str:
    plural = kind.lower() + "s"
    return CRD % {"kind": kind, "plural": plural, "short": plural[:3]}


def _object(kind: str, name: str, **spec: Any) -> dict[str, Any]:
    return {"apiVersion": "demo.io/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}


@pytest.fixture(scope="module")
def gadgets(server: Any) -> None:
    server.apply(_crd("Gadget"))
    server.kubectl("wait", "--for=condition=Established", "crd/gadgets.demo.io", "--timeout=60s")


@pytest.mark.usefixtures("gadgets")
def test_objects_have_columns_and_defaults(server: Any, namespace: str) -> None:
    n = ("-n", namespace)
    server.apply(_object("Gadget", "g", size=3), flags=n)
    assert server.apply(_object("Gadget", "g", size=3), flags=n) == "gadget.demo.io/g unchanged\n"
    found = server.get(*n, "gad", "g")
    assert found["spec"] == {"size": 3, "color": "red"}
    table = server.kubectl(*n, "get", "gad")
    assert table.splitlines()[0].split() == ["NAME", "SIZE", "PHASE"]
    assert table.splitlines()[1].split() == ["g", "3"]
    assert "demo.io/v1beta1" in server.kubectl(*n, "get", "gadgets.v1beta1.demo.io", "-o", "yaml")
    assert "size" in server.kubectl("explain", "gadget.spec")


@pytest.mark.usefixtures("gadgets")
def test_schema_is_enforced(server: Any, namespace: str) -> None:
    n = ("-n", namespace)
    wrong = yaml.safe_dump(_object("Gadget", "g", size=0, color="green"))
    said = server.kubectl(*n, "apply", "-f", "-", stdin=wrong, fails=True)
    assert 'The Gadget "g" is invalid' in said
    assert "spec.size: Invalid value: 0" in said
    assert 'spec.color: Unsupported value: "green"' in said
    unknown = yaml.safe_dump(_object("Gadget", "g", size=1, colour="red"))
    said = server.kubectl(*n, "apply", "-f", "-", stdin=unknown, fails=True)
    assert 'strict decoding error: unknown field "spec.colour"' in said
    server.apply(_object("Gadget", "g", size=1, colour="red"), flags=(*n, "--validate=ignore"))
    assert "colour" not in server.get(*n, "gad", "g")["spec"], "unknown fields are pruned"


@pytest.mark.usefixtures("gadgets")
def test_status_and_scale(server: Any, namespace: str) -> None:
    n = ("-n", namespace)
    server.apply(_object("Gadget", "g", size=1) | {"status": {"phase": "Forged"}}, flags=n)
    assert "status" not in server.get(*n, "gad", "g")
    phase = ("--type=merge", "-p", '{"status":{"phase":"Ready"}}')
    server.kubectl(*n, "patch", "gad", "g", "--subresource=status", *phase)
    server.kubectl(*n, "wait", "gad/g", "--for=jsonpath={.status.phase}=Ready", "--timeout=60s")
    assert server.get(*n, "gad", "g")["metadata"]["generation"] == 1
    server.kubectl(*n, "scale", "gad/g", "--replicas=4")
    found = server.get(*n, "gad", "g")
    assert found["spec"]["replicas"] == 4
    assert found["metadata"]["generation"] == 2
    refused = server.kubectl(*n, "patch", "gad", "g", "-p", "{}", fails=True)
    assert "strategic" in refused.lower() or "unknown format" in refused


def test_the_end_of_a_crd_is_the_end_of_its_objects(server: Any, namespace: str) -> None:
    n = ("-n", namespace)
    server.apply(_crd("Relic"))
    held = _object("Relic", "held", size=1)
    held["metadata"]["finalizers"] = ["demo.io/hold"]
    server.apply(held, _object("Relic", "free", size=1), flags=n)
    server.kubectl("delete", "crd", "relics.demo.io", "--wait=false")
    left = [item["metadata"]["name"] for item in server.get(*n, "relics")["items"]]
    assert left == ["held"]
    release = ("--type=merge", "-p", '{"metadata":{"finalizers":null}}')
    server.kubectl(*n, "patch", "relic", "held", *release)
    server.kubectl("get", "crd", "relics.demo.io", fails=True)
    assert server.request("GET", f"/apis/demo.io/v1/namespaces/{namespace}/relics").status == 404


def test_what_a_new_schema_does_not_know_is_not_read_any_more(server: Any, namespace: str) -> None:
    n = ("-n", namespace)
    server.apply(_crd("Widget"))
    server.apply(_object("Widget", "w", size=2, color="blue"), flags=n)
    server.apply(_crd("Widget").replace("color:", "hue:"))
    found = server.get(*n, "wid", "w")
    assert found["spec"] == {"size": 2}
    assert found["metadata"]["generation"] == 1
    server.apply(_object("Widget", "w", size=2, hue="red"), flags=n)
    assert server.get(*n, "wid", "w")["spec"] == {"size": 2, "hue": "red"}
