"""Admission webhooks: a real HTTPS server that changes, refuses and warns."""

import asyncio
import base64
import json
import ssl
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from serinus.lab.pki import KeyPair, Pki, issue_server

CONFIG_MAPS = "/api/v1/namespaces/{}/configmaps"


class Webhook:
    """Adds a label on /mutate; refuses what has ``bad`` in its data on /validate."""

    def __init__(self) -> None:
        self.reviews: list[dict[str, Any]] = []
        self.port = 0
        self.hang_up = 0
        """How many more requests get no answer but an end of their connection."""
        self.peers: list[Any] = []

    async def mutate(self, request: web.Request) -> web.Response:
        assert request.transport is not None
        self.peers.append(request.transport.get_extra_info("peername"))
        if self.hang_up:
            self.hang_up -= 1
            request.transport.abort()
        review = await request.json()
        self.reviews.append(review["request"])
        patch = [{"op": "add", "path": "/metadata/labels", "value": {"seen": "yes"}}]
        answer = {
            "uid": review["request"]["uid"],
            "allowed": True,
            "patchType": "JSONPatch",
            "patch": base64.b64encode(json.dumps(patch).encode()).decode(),
            "warnings": ["you were seen"],
        }
        return self._answer(answer)

    async def validate(self, request: web.Request) -> web.Response:
        review = await request.json()
        bad = "bad" in (review["request"]["object"] or {}).get("data", {})
        answer: dict[str, Any] = {"uid": review["request"]["uid"], "allowed": not bad}
        if bad:
            answer["status"] = {"code": 403, "message": "bad is not good"}
        return self._answer(answer)

    def _answer(self, response: dict[str, Any]) -> web.Response:
        review = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview"}
        return web.json_response(review | {"response": response})

    def configuration(self, kind: str, namespace: str, port: int, **more: Any) -> dict[str, Any]:
        path = "mutate" if kind.startswith("Mutating") else "validate"
        webhook = {
            "name": f"{path}.test.io",
            "clientConfig": {"url": f"https://127.0.0.1:{port}/{path}"},
            "rules": [
                {
                    "operations": ["CREATE"],
                    "apiGroups": [""],
                    "apiVersions": ["v1"],
                    "resources": ["configmaps"],
                }
            ],
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
            "objectSelector": {"matchExpressions": [{"key": "skip", "operator": "DoesNotExist"}]},
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
        }
        return {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": kind,
            "metadata": {"name": f"{path}-{namespace}"},
            "webhooks": [webhook | more],
        }


@pytest.fixture
async def webhook(server: Any, namespace: str) -> AsyncIterator[Webhook]:
    hook = Webhook()
    app = web.Application()
    app.add_routes([web.post("/mutate", hook.mutate), web.post("/validate", hook.validate)])
    keys = Pki(server.paths.pki)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    pair = KeyPair(keys.root / f"{namespace}.crt", keys.root / f"{namespace}.key")
    issue_server(keys, pair, "hook", ("127.0.0.1", f"hook.{namespace}.svc"))
    tls.load_cert_chain(pair.cert, pair.key)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    assert runner.addresses
    hook.port = runner.addresses[0][1]
    yield hook
    await runner.cleanup()


async def _create(server: Any, namespace: str, name: str, **metadata: Any) -> Any:
    data = metadata.pop("data", {})
    obj = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name} | metadata}
    path = CONFIG_MAPS.format(namespace)
    return await asyncio.to_thread(server.request, "POST", path, obj | {"data": data})


async def _configure(server: Any, configuration: dict[str, Any]) -> str:
    plural = configuration["kind"].lower() + "s"
    path = f"/apis/admissionregistration.k8s.io/v1/{plural}"
    answer = await asyncio.to_thread(server.request, "POST", path, configuration)
    assert answer.status == 201, answer.body
    return f"{path}/{configuration['metadata']['name']}"


async def test_mutate_validate_and_select(server: Any, namespace: str, webhook: Webhook) -> None:
    bundle = Pki(server.paths.pki).ca_bundle
    where = []
    for kind in ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"):
        configuration = webhook.configuration(kind, namespace, webhook.port)
        configuration["webhooks"][0]["clientConfig"]["caBundle"] = bundle
        where.append(await _configure(server, configuration))
    made = await _create(server, namespace, "c")
    assert made.json["metadata"]["labels"] == {"seen": "yes"}
    assert made.headers["Warning"] == '299 - "you were seen"'
    assert webhook.reviews[0]["userInfo"]["username"] == "admin"
    assert webhook.reviews[0]["operation"] == "CREATE"
    skipped = await _create(server, namespace, "skipped", labels={"skip": "me"})
    assert skipped.json["metadata"]["labels"] == {"skip": "me"}
    refused = await _create(server, namespace, "bad", data={"bad": "x"})
    assert refused.status == 403
    assert refused.json["message"] == (
        'admission webhook "validate.test.io" denied the request: bad is not good'
    )
    for path in where:
        await asyncio.to_thread(server.request, "DELETE", path)


async def test_a_webhook_is_asked_over_a_kept_connection(
    server: Any, namespace: str, webhook: Webhook
) -> None:
    """One that turns out to be closed is no reason to refuse a write; a webhook that never answers
    is."""
    configuration = webhook.configuration("MutatingWebhookConfiguration", namespace, webhook.port)
    bundle = Pki(server.paths.pki).ca_bundle
    configuration["webhooks"][0]["clientConfig"]["caBundle"] = bundle
    path = await _configure(server, configuration)
    for name in ("a", "b"):
        assert (await _create(server, namespace, name)).status == 201
    assert len(set(webhook.peers)) == 1
    webhook.hang_up = 1
    assert (await _create(server, namespace, "c")).status == 201
    assert len(set(webhook.peers)) == 2
    webhook.hang_up = 1000
    answer = await _create(server, namespace, "d")
    assert answer.status == 500
    assert 'failed calling webhook "mutate.test.io"' in answer.json["message"]
    await asyncio.to_thread(server.request, "DELETE", path)


async def test_an_unreachable_webhook(server: Any, namespace: str, webhook: Webhook) -> None:
    kind = "ValidatingWebhookConfiguration"
    for policy, status in (("Fail", 500), ("Ignore", 201)):
        configuration = webhook.configuration(kind, namespace, webhook.port, failurePolicy=policy)
        service = {"namespace": namespace, "name": "nobody"}
        configuration["webhooks"][0]["clientConfig"] = {"service": service}
        path = await _configure(server, configuration)
        answer = await _create(server, namespace, policy.lower())
        assert answer.status == status, answer.body
        if status == 500:
            assert 'failed calling webhook "validate.test.io"' in answer.json["message"]
            assert 'service "nobody" not found' in answer.json["message"]
        await asyncio.to_thread(server.request, "DELETE", path)


async def test_a_webhook_behind_a_service(server: Any, namespace: str, webhook: Webhook) -> None:
    metadata = {"name": "hook", "namespace": namespace}
    port = {"port": 443, "targetPort": webhook.port}
    service = {"apiVersion": "v1", "kind": "Service", "metadata": metadata}
    subset = {"addresses": [{"ip": "127.0.0.1"}], "ports": [{"port": webhook.port}]}
    endpoints = {"apiVersion": "v1", "kind": "Endpoints", "metadata": metadata}
    for plural, obj in (
        ("services", service | {"spec": {"ports": [port]}}),
        ("endpoints", endpoints | {"subsets": [subset]}),
    ):
        path = f"/api/v1/namespaces/{namespace}/{plural}"
        assert (await asyncio.to_thread(server.request, "POST", path, obj)).status == 201
    configuration = webhook.configuration("MutatingWebhookConfiguration", namespace, 0)
    configuration["webhooks"][0]["clientConfig"] = {
        "service": {"namespace": namespace, "name": "hook", "path": "/mutate"},
        "caBundle": Pki(server.paths.pki).ca_bundle,
    }
    path = await _configure(server, configuration)
    made = await _create(server, namespace, "c")
    await asyncio.to_thread(server.request, "DELETE", path)
    assert made.json["metadata"]["labels"] == {"seen": "yes"}
