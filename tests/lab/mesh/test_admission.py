"""What the webhooks answer, from AdmissionReviews to answers."""

import base64
import copy
import json
from pathlib import Path
from typing import Any

import pytest

from lab.mesh.mesh_objects import Obj, form_a, form_b, form_c, mesh, trafficroute
from serinus.lab.apiserver.patch.json_patch import json_patch
from serinus.lab.mesh.crds import definitions
from serinus.lab.mesh.defaults import policies
from serinus.lab.mesh.versions import SYSTEM_NAMESPACE, V1_8, V2_14, KumaVersion
from serinus.lab.mesh.webhooks import Webhooks

OBSERVED = Path(__file__).parent / "observed"
XDS = Path("/state/xds")


def webhooks(version: KumaVersion, **namespaces: Obj) -> Webhooks:
    async def namespace(name: str) -> Obj:
        return {"metadata": {"name": name, **namespaces.get(name, {})}}

    return Webhooks(version, XDS, namespace=namespace, meshes=lambda: {"default": mesh()})


def request(obj: Obj, kind: str) -> Obj:
    full = {"apiVersion": "kuma.io/v1alpha1", "kind": kind, **obj}
    return {"uid": "1", "object": full, "namespace": obj["metadata"].get("namespace", "")}


def patched(obj: Obj, answer: Obj) -> Any:
    assert answer["allowed"]
    if "patch" not in answer:
        return obj
    return json_patch(copy.deepcopy(obj), json.loads(base64.b64decode(answer["patch"])))


def plain_pod(**labels: str) -> Obj:
    return {
        "metadata": {"name": "p", "namespace": "test", "labels": labels},
        "spec": {"containers": [{"name": "app", "image": "app:1"}]},
    }


LABELLED = {"labels": {"kuma.io/sidecar-injection": "enabled"}}
ANNOTATED = {"annotations": {"kuma.io/sidecar-injection": "enabled"}}


@pytest.mark.parametrize("version", [V1_8, V2_14], ids=lambda v: v.name)
@pytest.mark.parametrize("namespace", [LABELLED, ANNOTATED], ids=["label", "annotation"])
async def test_a_pod_of_a_meshed_namespace_gets_a_sidecar(
    version: KumaVersion, namespace: Obj
) -> None:
    pod = plain_pod()
    asked = webhooks(version, test=namespace)
    done = patched(pod, await asked.inject(request(pod, "Pod")))
    containers = done["spec"]["initContainers" if version is V2_14 else "containers"]
    sidecar = next(c for c in containers if c["name"] == "kuma-sidecar")
    assert sidecar["image"] == f"kuma/kuma-dp:{version.release}"
    assert sidecar.get("restartPolicy") == ("Always" if version is V2_14 else None)
    assert done["spec"]["volumes"] == [
        {"name": "kuma-xds", "hostPath": {"path": "/state/xds", "type": "DirectoryOrCreate"}}
    ]
    annotations = done["metadata"]["annotations"]
    assert annotations["kuma.io/transparent-proxying"] == "enabled"
    assert annotations["kuma.io/transparent-proxying-inbound-port"] == "15006"
    again = await asked.inject(request(done, "Pod"))
    assert again == {"allowed": True}


@pytest.mark.parametrize(
    ("version", "namespace", "labels", "injected"),
    [
        (V2_14, {}, {}, False),
        (V2_14, LABELLED, {"kuma.io/sidecar-injection": "disabled"}, False),
        (V2_14, {}, {"kuma.io/sidecar-injection": "true"}, True),
        (V1_8, {"labels": {"kuma.io/sidecar-injection": "disabled"}}, {}, False),
    ],
)
async def test_the_pods_own_word_counts_first(
    version: KumaVersion, namespace: Obj, labels: dict[str, str], injected: bool
) -> None:
    answer = await webhooks(version, test=namespace).inject(request(plain_pod(**labels), "Pod"))
    assert ("patch" in answer) is injected


@pytest.mark.parametrize(
    ("name", "route"),
    [
        ("form-a-app-namespace", form_a(95, 5)),
        (
            "form-a-system-namespace",
            form_a(95, 5, name="podinfo-test", namespace=SYSTEM_NAMESPACE),
        ),
        ("form-b", form_b(95, 5)),
        ("form-c", form_c(95, 5)),
    ],
)
async def test_routes_get_the_metadata_that_kuma_gives_them(name: str, route: Obj) -> None:
    """Left out: kubectl's own annotation, the Mesh's uid, the system namespace's name."""
    text = (OBSERVED / f"2.14.3-exclusive-{name}-metadata.json").read_text()
    theirs = json.loads(text.replace("kuma-system", SYSTEM_NAMESPACE))
    del theirs["annotations"]["kubectl.kubernetes.io/last-applied-configuration"]
    theirs["ownerReferences"][0]["uid"] = "uid-mesh"
    done = patched(route, await webhooks(V2_14).complete(request(route, "MeshHTTPRoute")))
    ours = {key: done["metadata"][key] for key in ("labels", "annotations", "ownerReferences")}
    assert ours == theirs


async def test_other_owners_are_kept() -> None:
    route = form_b(95, 5)
    owner = {"apiVersion": "flagger.app/v1beta1", "kind": "Canary", "name": "podinfo", "uid": "2"}
    route["metadata"]["ownerReferences"] = [owner]
    done = patched(route, await webhooks(V2_14).complete(request(route, "MeshHTTPRoute")))
    assert [o["kind"] for o in done["metadata"]["ownerReferences"]] == ["Canary", "Mesh"]


ZEROS = trafficroute("podinfo", "podinfo_test_svc_9898", [("a_test_svc_1", 0), ("b_test_svc_1", 0)])
NO_CONF: Obj = {**ZEROS, "spec": {**ZEROS["spec"], "conf": {}}}
ELSEWHERE: Obj = {**ZEROS, "mesh": "nowhere"}
MIXED = form_b(95, 5)
MIXED["spec"]["to"].append({"targetRef": {"kind": "MeshService", "labels": {"a": "b"}}})


@pytest.mark.parametrize(
    ("version", "kind", "obj", "words"),
    [
        (
            V1_8,
            "TrafficRoute",
            ZEROS,
            "spec.conf.split: there must be at least one split entry with weight above 0",
        ),
        (V2_14, "TrafficRoute", NO_CONF, "spec.conf: cannot be empty"),
        (V2_14, "TrafficRoute", ELSEWHERE, "mesh of name nowhere is not found"),
        (
            V2_14,
            "MeshHTTPRoute",
            MIXED,
            "it's not allowed to mix producer and consumer items in the same policy",
        ),
    ],
)
async def test_refusals(version: KumaVersion, kind: str, obj: Obj, words: str) -> None:
    answer = await webhooks(version).validate(request(obj, kind))
    assert not answer["allowed"]
    assert answer["status"]["message"] == words


async def test_what_has_no_effect_is_said() -> None:
    policy = {"metadata": {"name": "slow", "namespace": "test"}, "spec": {}}
    answer = await webhooks(V2_14).validate(request(policy, "MeshCircuitBreaker"))
    assert answer["allowed"]
    assert "no effect here" in answer["warnings"][0]


@pytest.mark.parametrize(
    ("kind", "http", "idle"),
    [
        ("MeshTimeout", {"requestTimeout": "1s"}, []),
        ("MeshTimeout", {"streamIdleTimeout": "1s"}, ["streamIdleTimeout"]),
        ("MeshRetry", {"numRetries": 1, "perTryTimeout": "1s", "retryOn": ["5xx"]}, []),
        ("MeshRetry", {"backOff": {"baseInterval": "1s"}}, ["backOff"]),
    ],
)
async def test_what_of_a_limit_has_no_effect_is_said(kind: str, http: Obj, idle: list[str]) -> None:
    to = [{"targetRef": {"kind": "MeshService", "name": "a"}, "default": {"http": http}}]
    policy = {"metadata": {"name": "slow", "namespace": "test"}, "spec": {"to": to}}
    answer = await webhooks(V2_14).validate(request(policy, kind))
    assert answer["allowed"]
    assert answer.get("warnings", []) == [
        f"serinus lab: spec.to[0].default.http.{part} is accepted and has no effect here"
        for part in idle
    ]


@pytest.mark.parametrize("version", [V1_8, V2_14], ids=lambda v: v.name)
async def test_kumas_own_defaults_are_let_in(version: KumaVersion) -> None:
    for policy in policies(version):
        answer = await webhooks(version).validate(request(policy, policy["kind"]))
        assert answer["allowed"], answer


def test_the_version_can_be_told_from_the_kinds() -> None:
    """The rules by which an operator without access to the control plane detects it."""
    first = {d["metadata"]["name"] for d in definitions(V1_8)}
    assert "trafficroutes.kuma.io" in first
    assert "meshhttproutes.kuma.io" not in first
    second = {d["metadata"]["name"]: d for d in definitions(V2_14)}
    assert {"trafficroutes.kuma.io", "meshservices.kuma.io"} <= second.keys()
    served = second["meshhttproutes.kuma.io"]["spec"]["versions"][0]
    spec = served["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    assert "name" in spec["to"]["items"]["properties"]["targetRef"]["properties"]
    scopes = {name: d["spec"]["scope"] for name, d in second.items()}
    assert scopes["trafficroutes.kuma.io"] == scopes["meshes.kuma.io"] == "Cluster"
    assert scopes["meshhttproutes.kuma.io"] == scopes["dataplanes.kuma.io"] == "Namespaced"
