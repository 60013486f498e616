"""MeshProxyPatches: whose Envoys they change, what is refused, what is only accepted."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from lab.mesh.mesh_objects import (
    Obj,
    cookie_patch,
    form_b,
    mesh,
    pod,
    podinfo_world,
    proxypatch,
)
from serinus.lab.mesh.model import observe
from serinus.lab.mesh.proxy import resources
from serinus.lab.mesh.versions import SYSTEM_NAMESPACE, V2_7, V2_14, V3_0, KumaVersion
from serinus.lab.mesh.webhooks import Webhooks

CANARY, PRIMARY, CLIENT = "podinfo-1.test", "podinfo-primary-1.test", "client-1.test"
ADD = "responseHeadersToAdd: [{header: {key: a, value: '%s'}}]"


def virtual_hosts(patches: list[Obj], who: str) -> dict[str, Any]:
    """The virtual hosts of a proxy, by the name of their route configuration."""
    objects = podinfo_world()
    objects["pods"].append(pod("elsewhere-1", "127.10.0.7", "client", namespace="other"))
    world = observe(
        V2_14,
        **objects,
        meshes=[mesh("Exclusive")],
        http_routes=[form_b(50, 50)],
        proxy_patches=patches,
    )
    proxy = next(p for p in world.proxies if f"{p.name}.{p.namespace}" == who)
    return {
        filters["typedConfig"]["routeConfig"]["name"]: filters["typedConfig"]["routeConfig"][
            "virtualHosts"
        ][0]
        for listener in resources(world, proxy).listeners.values()
        if listener["name"].startswith(("inbound:", "outbound:"))
        for chain in listener["filterChains"]
        for filters in chain.get("filters", ())
        if "routeConfig" in filters["typedConfig"]
    }


def added(patches: list[Obj], who: str, config: str) -> list[str]:
    host = virtual_hosts(patches, who)[config]
    return [one["header"]["value"] for one in host.get("responseHeadersToAdd", ())]


INBOUND = "inbound:podinfo-canary_test_svc_9898"
OUTBOUND = "kri_msvc_default_default_test_podinfo_http"


class TestWhomItReaches:
    def test_the_inbound_of_the_pods_that_carry_the_labels(self) -> None:
        patches = [cookie_patch("podinfo", "side=canary")]
        assert added(patches, CANARY, INBOUND) == ["side=canary; Max-Age=60; Path=/"]
        assert added(patches, CANARY, OUTBOUND) == []
        for who in (PRIMARY, CLIENT):
            assert virtual_hosts(patches, who) == virtual_hosts([], who)

    def test_beside_a_workload_only_its_namespaces_pods(self) -> None:
        everywhere = proxypatch("client", ADD % 1, namespace=SYSTEM_NAMESPACE, origin="outbound")
        in_test = proxypatch("client", ADD % 1, origin="outbound")
        for who, reaching in ((CLIENT, [everywhere, in_test]), ("elsewhere-1.other", [everywhere])):
            for patch in (everywhere, in_test):
                assert added([patch], who, OUTBOUND) == (["1"] if patch in reaching else [])

    def test_no_origin_means_every_one(self) -> None:
        patch = proxypatch("podinfo", ADD % 1)
        patch["spec"]["default"]["appendModifications"][0]["virtualHost"]["match"] = {}
        assert added([patch], CANARY, INBOUND) == added([patch], CANARY, OUTBOUND) == ["1"]

    @pytest.mark.parametrize(
        ("match", "reached"),
        [
            ({"name": "podinfo-canary_test_svc_9898"}, True),
            ({"name": "another"}, False),
            ({"routeConfigurationName": INBOUND}, True),
            ({"routeConfigurationName": "another"}, False),
        ],
    )
    def test_narrower_matches(self, match: dict[str, str], reached: bool) -> None:
        patch = proxypatch("podinfo", ADD % 1, **match)
        assert (added([patch], CANARY, INBOUND) == ["1"]) is reached

    def test_several_add_up_the_stronger_last(self) -> None:
        """Of equals the smaller name is the stronger; the system's word is weaker than any."""
        patches = [proxypatch("podinfo", ADD % value) for value in ("b", "c")]
        patches.append(proxypatch("podinfo", ADD % "a", namespace=SYSTEM_NAMESPACE))
        for patch, name in zip(patches, ("2", "1", "0"), strict=True):
            patch["metadata"]["name"] = name
        assert added(patches, CANARY, INBOUND) == ["a", "b", "c"]

    def test_fields_in_protobufs_own_spelling(self) -> None:
        entry = "{header: {key: a, value: '1'}, append_action: ADD_IF_ABSENT}"
        value = f"response_headers_to_add: [{entry}]"
        host = virtual_hosts([proxypatch("podinfo", value)], CANARY)[INBOUND]
        assert host["responseHeadersToAdd"] == [
            {"header": {"key": "a", "value": "1"}, "appendAction": "ADD_IF_ABSENT"}
        ]


def changed(edit: Obj) -> Obj:
    """A patch whose one modification is ``edit``."""
    patch = cookie_patch("podinfo", "a=b")
    patch["spec"]["default"]["appendModifications"] = [edit]
    return patch


def virtual_host(**change: Any) -> Obj:
    return changed({"virtualHost": {"operation": "Patch", "match": {}, **change}})


def webhooks(version: KumaVersion = V2_14) -> Webhooks:
    async def namespace(name: str) -> Obj:
        return {"metadata": {"name": name, "labels": {"kuma.io/sidecar-injection": "enabled"}}}

    xds = Path("/state/xds")
    return Webhooks(version, xds, namespace=namespace, meshes=lambda: {"default": mesh()})


async def answer(patch: Obj, version: KumaVersion = V2_14) -> Any:
    request = {"uid": "1", "object": patch, "namespace": patch["metadata"]["namespace"]}
    return await webhooks(version).validate(request)


NATIVE = "spec.default.appendModifications[0].virtualHost.value: native Envoy resource is not valid"


@pytest.mark.parametrize(
    ("patch", "words"),
    [
        (changed({}), "exactly one modification can be defined at a time. Currently, 0"),
        (
            changed({"virtualHost": {"operation": "Remove", "match": {}}, "cluster": {}}),
            "Currently, 2 modifications are defined",
        ),
        (virtual_host(), "virtualHost must have exactly one defined: value, jsonPatches"),
        (
            virtual_host(value="{}", jsonPatches=[{"op": "remove", "path": "/cors"}]),
            "virtualHost must have only one type defined: value, jsonPatches",
        ),
        (virtual_host(operation="Remove", value="{}"), "virtualHost.value: must not be defined"),
        (virtual_host(operation="Add"), "virtualHost.value: must be defined"),
        (virtual_host(value="{"), NATIVE),
        (virtual_host(value="[]"), f"{NATIVE}: a VirtualHost is an object, not '[]'"),
        (
            virtual_host(value="responseHeadersToAd: []"),
            f'{NATIVE}: unknown field "responseHeadersToAd" in envoy.config.route.v3.VirtualHost',
        ),
        (
            virtual_host(value="responseHeadersToAdd: {key: set-cookie}"),
            f"{NATIVE}: Expected `array | null`, got `object` - at `$.responseHeadersToAdd`",
        ),
        (
            virtual_host(value="responseHeadersToAdd: [{header: {name: set-cookie}}]"),
            f"{NATIVE}: Object contains unknown field `name` - at "
            "`$.responseHeadersToAdd[0].header`",
        ),
        (
            virtual_host(value="responseHeadersToAdd: [{header: {key: a}, appendAction: Append}]"),
            f"{NATIVE}: Invalid enum value 'Append' - at `$.responseHeadersToAdd[0].appendAction`",
        ),
        (
            virtual_host(value="responseHeadersToAdd: [{header: {key: a, value: 1}}]"),
            f"{NATIVE}: Expected `str`, got `int`",
        ),
    ],
)
async def test_refusals(patch: Obj, words: str) -> None:
    told = await answer(patch)
    assert not told["allowed"]
    assert told["status"]["code"] == 422
    assert words in told["status"]["message"]


async def test_an_empty_patch_and_an_odd_target_are_refused() -> None:
    patch = cookie_patch("podinfo", "a=b")
    patch["spec"] = {"targetRef": {"kind": "MeshHTTPRoute", "name": "podinfo"}, "default": {}}
    told = await answer(patch)
    assert told["status"]["message"] == (
        "spec.targetRef.kind: value is not supported; "
        "spec.default.appendModifications: must not be empty"
    )


BY_LABELS = {"kind": "Dataplane", "labels": {"app": "podinfo"}}
BY_TAGS = {"kind": "MeshSubset", "tags": {"app": "podinfo"}}


@pytest.mark.parametrize(
    ("version", "target", "namespace", "words"),
    [
        (V2_7, BY_TAGS, SYSTEM_NAMESPACE, None),
        (V2_7, BY_TAGS, "test", "policy can only be created in the system namespace"),
        (V2_7, BY_LABELS, SYSTEM_NAMESPACE, "spec.targetRef.kind: value is not supported"),
        (V2_14, BY_TAGS, SYSTEM_NAMESPACE, None),
        (V2_14, BY_LABELS, SYSTEM_NAMESPACE, None),
        (V2_14, BY_LABELS, "test", None),
        (V3_0, BY_LABELS, "test", None),
        (V3_0, BY_TAGS, "test", "spec.targetRef.kind: value is not supported"),
    ],
)
async def test_where_and_for_whom_a_patch_may_be(
    version: KumaVersion, target: Obj, namespace: str, words: str | None
) -> None:
    patch = cookie_patch("podinfo", "a=b")
    patch["spec"]["targetRef"] = target
    patch["metadata"]["namespace"] = namespace
    told = await answer(patch, version)
    assert told["allowed"] is (words is None)
    if words:
        assert words in told["status"]["message"]


@pytest.mark.parametrize(
    ("patch", "idle"),
    [
        (cookie_patch("podinfo", "a=b"), []),
        (virtual_host(value=""), []),
        (changed({"cluster": {"operation": "Remove"}}), ["appendModifications[0]"]),
        (virtual_host(operation="Remove"), ["appendModifications[0]"]),
        (
            virtual_host(jsonPatches=[{"op": "remove", "path": "/cors"}]),
            ["appendModifications[0]"],
        ),
        (
            virtual_host(value="{retry_policy: {numRetries: 2}, responseHeadersToRemove: [a]}"),
            ["appendModifications[0].virtualHost.value: retryPolicy"],
        ),
    ],
)
async def test_what_has_no_effect_is_said(patch: Obj, idle: list[str]) -> None:
    told = await answer(patch)
    assert told["allowed"], told
    assert told["warnings"] == [
        f"serinus lab: spec.default.{part} is accepted and has no effect here" for part in idle
    ]


async def test_beside_a_workload_a_patch_is_the_workload_owners() -> None:
    patch = cookie_patch("podinfo", "a=b")
    owner = {"apiVersion": "flagger.app/v1beta1", "kind": "Canary", "name": "podinfo", "uid": "2"}
    patch["metadata"]["ownerReferences"] = [owner]
    asked = webhooks()
    told = await asked.complete({"uid": "1", "object": patch, "namespace": "test"})
    (metadata,) = (one["value"] for one in json.loads(base64.b64decode(told["patch"])))
    assert metadata["labels"] == {
        "k8s.kuma.io/namespace": "test",
        "kuma.io/env": "kubernetes",
        "kuma.io/mesh": "default",
        "kuma.io/origin": "zone",
        "kuma.io/policy-role": "workload-owner",
        "kuma.io/zone": "default",
    }
    assert metadata["annotations"] == {"kuma.io/display-name": "podinfo-affinity"}
    assert [one["kind"] for one in metadata["ownerReferences"]] == ["Canary", "Mesh"]
