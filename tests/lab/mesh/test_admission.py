"""What the webhooks answer, from AdmissionReviews to answers."""

import base64
import copy
import json
from pathlib import Path
from typing import Any

import pytest

from lab.mesh.mesh_objects import (
    Obj,
    by_labels,
    by_tag,
    form_a,
    form_b,
    form_c,
    mesh,
    trafficroute,
)
from serinus.lab.apiserver.patch.json_patch import json_patch
from serinus.lab.mesh.crds import definitions
from serinus.lab.mesh.defaults import policies
from serinus.lab.mesh.versions import PLAYED, SYSTEM_NAMESPACE, V1_8, V2_7, V2_14, V3_0, KumaVersion
from serinus.lab.mesh.webhooks import Webhooks

OBSERVED = Path(__file__).parent / "observed"
XDS = Path("/state/xds")


LABELLED = {"labels": {"kuma.io/sidecar-injection": "enabled"}}
ANNOTATED = {"annotations": {"kuma.io/sidecar-injection": "enabled"}}
DISABLED = {"labels": {"kuma.io/sidecar-injection": "disabled"}}


def webhooks(version: KumaVersion, **namespaces: Obj) -> Webhooks:
    """Their namespaces are labelled unless told otherwise."""

    async def namespace(name: str) -> Obj:
        return {"metadata": {"name": name, **namespaces.get(name, LABELLED)}}

    return Webhooks(
        version,
        XDS,
        namespace=namespace,
        meshes=lambda: {name: mesh(name=name) for name in ("default", "b")},
    )


def request(obj: Obj, kind: str) -> Obj:
    full = {"apiVersion": "kuma.io/v1alpha1", "kind": kind, **obj}
    return {"uid": "1", "object": full, "namespace": obj["metadata"].get("namespace", "")}


def patched(obj: Obj, answer: Obj) -> Any:
    assert answer["allowed"]
    if "patch" not in answer:
        return obj
    return json_patch(copy.deepcopy(obj), json.loads(base64.b64decode(answer["patch"])))


def with_filters(route: Obj, filters: list[Obj]) -> Obj:
    route["spec"]["to"][0]["rules"][0]["default"]["filters"] = filters
    return route


def without_names(route: Obj) -> Obj:
    """As the schema of Kuma 3 leaves a route that refers by names."""
    (to,) = route["spec"]["to"]
    for ref in (to["targetRef"], *to["rules"][0]["default"]["backendRefs"]):
        del ref["name"]
    return route


def plain_pod(**labels: str) -> Obj:
    return {
        "metadata": {"name": "p", "namespace": "test", "labels": labels},
        "spec": {"containers": [{"name": "app", "image": "app:1"}]},
    }


@pytest.mark.parametrize("version", PLAYED.values(), ids=PLAYED)
@pytest.mark.parametrize("namespace", [LABELLED, ANNOTATED], ids=["label", "annotation"])
async def test_a_pod_of_a_meshed_namespace_gets_a_sidecar(
    version: KumaVersion, namespace: Obj
) -> None:
    pod = plain_pod()
    asked = webhooks(version, test=namespace)
    done = patched(pod, await asked.inject(request(pod, "Pod")))
    native = version in (V2_14, V3_0)
    containers = done["spec"]["initContainers" if native else "containers"]
    sidecar = next(c for c in containers if c["name"] == "kuma-sidecar")
    assert sidecar["image"] == f"kuma/kuma-dp:{version.release}"
    assert sidecar.get("restartPolicy") == ("Always" if native else None)
    assert done["spec"]["volumes"] == [
        {"name": "kuma-xds", "hostPath": {"path": "/state/xds", "type": "DirectoryOrCreate"}}
    ]
    annotations = done["metadata"]["annotations"]
    assert ("kuma.io/mesh" in annotations) is (version is not V3_0)
    assert annotations["kuma.io/transparent-proxying"] == "enabled"
    assert annotations["kuma.io/transparent-proxying-inbound-port"] == "15006"
    again = await asked.inject(request(done, "Pod"))
    assert again == {"allowed": True}


@pytest.mark.parametrize(
    ("version", "namespace", "labels", "injected"),
    [
        (V2_14, {}, {}, False),
        (V2_14, LABELLED, {"kuma.io/sidecar-injection": "disabled"}, False),
        # From 2.11 on a namespace that says nothing takes no part, and only one word counts.
        (V2_14, {}, {"kuma.io/sidecar-injection": "enabled"}, False),
        (V2_14, DISABLED, {"kuma.io/sidecar-injection": "enabled"}, True),
        (V2_14, DISABLED, {"kuma.io/sidecar-injection": "true"}, False),
        (V3_0, {}, {"kuma.io/sidecar-injection": "enabled"}, False),
        (V2_7, {}, {"kuma.io/sidecar-injection": "true"}, True),
        (V1_8, DISABLED, {}, False),
    ],
)
async def test_the_pods_own_word_counts_first(
    version: KumaVersion, namespace: Obj, labels: dict[str, str], injected: bool
) -> None:
    answer = await webhooks(version, test=namespace).inject(request(plain_pod(**labels), "Pod"))
    assert ("patch" in answer) is injected


IN_SYSTEM = {"name": "podinfo-test", "namespace": SYSTEM_NAMESPACE}
MIRRORED = [
    {"type": "RequestMirror", "requestMirror": {"percentage": 100, "backendRef": by_labels("a")}}
]


@pytest.mark.parametrize(
    ("version", "name", "route"),
    [
        (V2_7, "2.7.29-form-a-system-namespace", form_a(95, 5, **IN_SYSTEM)),
        (V2_14, "2.14.3-exclusive-form-a-app-namespace", form_a(95, 5)),
        (V2_14, "2.14.3-exclusive-form-a-system-namespace", form_a(95, 5, **IN_SYSTEM)),
        (V2_14, "2.14.3-exclusive-form-b", form_b(95, 5)),
        (V2_14, "2.14.3-exclusive-form-c", form_c(95, 5)),
        (V2_14, "2.14.3-disabled-form-c", form_c(95, 5)),
        (V3_0, "3.0-dev-form-c", form_c(95, 5)),
        (V3_0, "3.0-dev-mirror", with_filters(form_c(100, 0), MIRRORED)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_routes_get_the_metadata_that_kuma_gives_them(
    version: KumaVersion, name: str, route: Obj
) -> None:
    """Left out: kubectl's own annotation, the Mesh's uid, the system namespace's name."""
    text = (OBSERVED / f"{name}-metadata.json").read_text()
    theirs = json.loads(text.replace("kuma-system", SYSTEM_NAMESPACE))
    del theirs["annotations"]["kubectl.kubernetes.io/last-applied-configuration"]
    theirs["ownerReferences"][0]["uid"] = "uid-mesh"
    route["metadata"]["labels"]["kuma.io/origin"] = "zone"
    done = patched(route, await webhooks(version).complete(request(route, "MeshHTTPRoute")))
    meta = done["metadata"]
    ours = {key: meta.get(key, {}) for key in ("labels", "annotations", "ownerReferences")}
    assert ours == theirs


@pytest.mark.parametrize(("version", "named"), [(V2_7, "b"), (V2_14, "b"), (V3_0, "default")])
async def test_the_annotation_names_a_mesh_until_2_14(version: KumaVersion, named: str) -> None:
    form = form_c if version is V3_0 else form_a
    route = form(95, 5, **IN_SYSTEM)
    del route["metadata"]["labels"]["kuma.io/mesh"]
    route["metadata"]["annotations"] = {"kuma.io/mesh": "b"}
    done = patched(route, await webhooks(version).complete(request(route, "MeshHTTPRoute")))
    assert done["metadata"]["labels"]["kuma.io/mesh"] == named
    assert done["metadata"]["ownerReferences"][0]["name"] == named


async def test_where_no_webhook_is_asked_nothing_is_added_or_refused() -> None:
    for version, overlooked in ((V2_7, False), (V2_14, True), (V3_0, True)):
        asked = webhooks(version, test={})
        route = form_c(95, 5)
        route["spec"]["targetRef"] = {"kind": "Nonsense"}
        answer = await asked.validate(request(route, "MeshHTTPRoute"))
        assert answer["allowed"] is overlooked
        if overlooked:
            assert "no label kuma.io/sidecar-injection" in answer["warnings"][0]
            assert patched(route, await asked.complete(request(route, "MeshHTTPRoute"))) == route
    for namespace in (LABELLED, ANNOTATED, DISABLED):
        answer = await webhooks(V2_14, test=namespace).complete(
            request(form_b(95, 5), "MeshHTTPRoute")
        )
        assert "patch" in answer


async def test_other_owners_are_kept() -> None:
    route = form_b(95, 5)
    owner = {"apiVersion": "flagger.app/v1beta1", "kind": "Canary", "name": "podinfo", "uid": "2"}
    route["metadata"]["ownerReferences"] = [owner]
    done = patched(route, await webhooks(V2_14).complete(request(route, "MeshHTTPRoute")))
    assert [o["kind"] for o in done["metadata"]["ownerReferences"]] == ["Canary", "Mesh"]


ZEROS = trafficroute("podinfo", "podinfo_test_svc_9898", [("a_test_svc_1", 0), ("b_test_svc_1", 0)])
NO_CONF: Obj = {**ZEROS, "spec": {**ZEROS["spec"], "conf": {}}}
WANTING = 'spec.conf: requires either "destination" or "split"'
ELSEWHERE: Obj = {**ZEROS, "mesh": "nowhere"}
MIXED = form_b(95, 5)
MIXED["spec"]["to"].append({"targetRef": {"kind": "MeshService", "labels": {"a": "b"}}})
OF_A_SUBSET = form_c(95, 5)
OF_A_SUBSET["spec"]["targetRef"] = {"kind": "MeshSubset", "tags": {"app": "a"}}
PRUNED = without_names(form_b(95, 5))
MIRRORING_NOWHERE = with_filters(
    form_c(95, 5), [{"type": "RequestMirror", "requestMirror": {"backendRef": by_tag("a")}}]
)
OWNED_BY_ANOTHER = form_c(95, 5)
OWNED_BY_ANOTHER["metadata"]["ownerReferences"] = [
    {"apiVersion": "kuma.io/v1alpha1", "kind": "Mesh", "name": "other", "uid": "3"}
]


@pytest.mark.parametrize(
    ("version", "kind", "obj", "words"),
    [
        (
            V1_8,
            "TrafficRoute",
            ZEROS,
            "spec.conf.split: there must be at least one split entry with weight above 0",
        ),
        (V2_14, "TrafficRoute", NO_CONF, WANTING),
        (V2_14, "TrafficRoute", ELSEWHERE, 'Mesh.kuma.io "nowhere" not found'),
        (
            V2_14,
            "MeshHTTPRoute",
            MIXED,
            "it's not allowed to mix producer and consumer items in the same policy",
        ),
        (
            V2_7,
            "MeshHTTPRoute",
            form_a(95, 5),
            f"policy can only be created in the system namespace:{SYSTEM_NAMESPACE}",
        ),
        (
            V2_7,
            "MeshTimeout",
            form_a(95, 5),
            f"policy can only be created in the system namespace:{SYSTEM_NAMESPACE}",
        ),
        (V3_0, "MeshHTTPRoute", OF_A_SUBSET, "spec.targetRef.kind: value is not supported"),
        (
            V3_0,
            "MeshHTTPRoute",
            PRUNED,
            "spec.to[0].targetRef.labels must be set when kind is MeshService; "
            "spec.to[0].rules[0].default.backendRefs[0].labels must be set when kind is "
            "MeshService; "
            "spec.to[0].rules[0].default.backendRefs[1].labels must be set when kind is "
            "MeshService",
        ),
        (
            V3_0,
            "MeshHTTPRoute",
            MIRRORING_NOWHERE,
            "spec.to[0].rules[0].default.filters[0].requestMirror.backendRef.labels must be set "
            "when kind is MeshService",
        ),
        (
            V3_0,
            "MeshHTTPRoute",
            OWNED_BY_ANOTHER,
            'metadata.ownerReferences: the Mesh "other" cannot own an object of the mesh '
            '"default", which the label kuma.io/mesh names',
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


@pytest.mark.parametrize("version", PLAYED.values(), ids=PLAYED)
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
