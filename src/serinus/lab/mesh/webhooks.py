"""Kuma's admission server: it injects sidecars, completes policies and refuses some.

It listens where the API server is told to ask; what it decides is in `injection` and `admission`.
"""

import base64
import json
import ssl
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from aiohttp import web

from serinus.cluster.errors import ApiError, Unreachable
from serinus.lab import addresses
from serinus.lab.mesh import admission, injection
from serinus.lab.mesh.model import Obj, takes_part
from serinus.lab.mesh.versions import KumaVersion

Response = dict[str, Any]

_POLICY_KINDS_1 = ["trafficroutes", "trafficpermissions"]


class Webhooks:
    """The answers to AdmissionReviews, from what the caches know of namespaces and meshes."""

    def __init__(
        self,
        version: KumaVersion,
        xds: Path,
        *,
        namespace: Callable[[str], Awaitable[Obj]],
        meshes: Callable[[], Mapping[str, Obj]],
    ) -> None:
        self._version = version
        self._xds = xds
        self._namespace = namespace
        self._meshes = meshes

    def application(self) -> web.Application:
        """The server's routes, named as Kuma's."""
        app = web.Application(client_max_size=16 * 2**20)
        for path, answer in {
            "/inject-sidecar": self.inject,
            "/default-kuma-io-v1alpha1": self.complete,
            "/validate-kuma-io-v1alpha1": self.validate,
        }.items():
            app.router.add_post(path, _reviewing(answer))
        return app

    async def inject(self, request: Obj) -> Response:
        """A pod is created: with a sidecar, if it or its namespace asks for one."""
        pod = request["object"]
        try:
            namespace = await self._namespace(request["namespace"])
        except (ApiError, Unreachable) as error:
            return _unknown_namespace(request, error)
        if not injection.wanted(self._version, pod, namespace):
            return {"allowed": True}
        return _patched(injection.inject(self._version, pod, namespace, self._xds))

    async def complete(self, request: Obj) -> Response:
        """A policy is written: Kuma adds labels and an owner."""
        obj = request["object"]
        try:
            if await self._overlooks(request):
                return {"allowed": True}
        except (ApiError, Unreachable) as error:
            return _unknown_namespace(request, error)
        meshes = self._meshes()
        if admission.refusal(self._version, obj, meshes):
            return {"allowed": True}
        uid = meshes[admission.mesh_name(self._version, obj)]["metadata"]["uid"]
        done = admission.completed(self._version, obj, uid)
        patch = [{"op": "replace", "path": "/metadata", "value": done["metadata"]}]
        if "mesh" in done:
            patch.append({"op": "add", "path": "/mesh", "value": done["mesh"]})
        return _patched(patch)

    async def validate(self, request: Obj) -> Response:
        """A policy is written: does Kuma take it?"""
        obj = request["object"]
        try:
            if await self._overlooks(request):
                name = request["namespace"]
                return {"allowed": True, "warnings": [admission.OVERLOOKED.format(name=name)]}
        except (ApiError, Unreachable) as error:
            return _unknown_namespace(request, error)
        refusal = admission.refusal(self._version, obj, self._meshes())
        if refusal:
            return _denied(refusal.message, refusal.code, refusal.reason)
        return {"allowed": True, "warnings": admission.warnings(obj)}

    async def _overlooks(self, request: Obj) -> bool:
        """Whether a real Kuma would not even be asked: its webhooks select namespaces by a label.
        The lab has to look for itself, since it takes the annotation as well."""
        name = request.get("namespace")
        if not self._version.namespaces_opt_in or not name:
            return False
        return not takes_part(await self._namespace(name))


def _reviewing(
    answer: Callable[[Obj], Awaitable[Response]],
) -> Callable[[web.Request], Any]:
    async def handle(http: web.Request) -> web.Response:
        review = await http.json()
        request = review["request"]
        return web.json_response(
            {
                "apiVersion": "admission.k8s.io/v1",
                "kind": "AdmissionReview",
                "response": {"uid": request["uid"], **await answer(request)},
            }
        )

    return handle


def _patched(patch: list[dict[str, Any]]) -> Response:
    return {
        "allowed": True,
        "patchType": "JSONPatch",
        "patch": base64.b64encode(json.dumps(patch).encode()).decode(),
    }


def _unknown_namespace(request: Obj, error: ApiError | Unreachable) -> Response:
    return _denied(f'namespace "{request["namespace"]}": {error}', 500, "InternalError")


def _denied(message: str, code: int, reason: str) -> Response:
    return {
        "allowed": False,
        "status": {"status": "Failure", "message": message, "code": code, "reason": reason},
    }


async def serve(
    webhooks: Webhooks,
    context: ssl.SSLContext,
    host: str = str(addresses.NODE_IP),
    port: int = addresses.KUMA_WEBHOOK_PORT,
) -> web.AppRunner:
    """Listen; the runner's ``cleanup`` ends it."""
    runner = web.AppRunner(webhooks.application(), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, host, port, ssl_context=context).start()
    return runner


def configurations(version: KumaVersion, ca_pem: bytes, url: str) -> list[dict[str, Any]]:
    """The objects that tell the API server to ask; ``url`` is the server's root."""
    kinds = _POLICY_KINDS_1 if version.has_trafficroute else []
    if version.has_meshhttproute:
        kinds = [*kinds, *MESH_POLICIES]

    def webhook(name: str, path: str, rule: dict[str, Any], **fields: Any) -> dict[str, Any]:
        return {
            "name": name,
            "clientConfig": {
                "url": url + path,
                "caBundle": base64.b64encode(ca_pem).decode(),
            },
            "rules": [rule],
            "admissionReviewVersions": ["v1"],
            "sideEffects": "None",
            "failurePolicy": "Fail",
            "timeoutSeconds": 10,
            **fields,
        }

    policies = {
        "apiGroups": ["kuma.io"],
        "apiVersions": ["v1alpha1"],
        "operations": ["CREATE", "UPDATE"],
        "resources": kinds,
    }
    pods = {
        "apiGroups": [""],
        "apiVersions": ["v1"],
        "operations": ["CREATE"],
        "resources": ["pods"],
    }
    elsewhere = {
        "matchExpressions": [
            {
                "key": "kubernetes.io/metadata.name",
                "operator": "NotIn",
                "values": ["kube-system", "kube-public", "kube-node-lease"],
            }
        ]
    }
    return [
        {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "MutatingWebhookConfiguration",
            "metadata": {"name": "kuma-admission-mutating-webhook-configuration"},
            "webhooks": [
                webhook(
                    "mesh.defaulter.kuma-admission.kuma.io", "/default-kuma-io-v1alpha1", policies
                ),
                webhook(
                    "namespace-kuma-injector.kuma.io",
                    "/inject-sidecar",
                    pods,
                    namespaceSelector=elsewhere,
                ),
            ],
        },
        {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingWebhookConfiguration",
            "metadata": {"name": "kuma-validating-webhook-configuration"},
            "webhooks": [
                webhook("validator.kuma-admission.kuma.io", "/validate-kuma-io-v1alpha1", policies)
            ],
        },
    ]


MESH_POLICIES = [
    "meshhttproutes",
    "meshtcproutes",
    "meshtimeouts",
    "meshretries",
    "meshcircuitbreakers",
    "meshmetrics",
    "meshproxypatches",
    "meshtrafficpermissions",
]
"""The policies of the second generation that the lab knows."""
