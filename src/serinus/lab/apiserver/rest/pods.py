"""Pods: their ServiceAccount, their node, their eviction."""

from http import HTTPStatus
from typing import Any, Final

from aiohttp import web

from serinus.lab.apiserver import errors, selectors
from serinus.lab.apiserver.representation import Obj, decode
from serinus.lab.apiserver.requests import WriteOptions, delete_options
from serinus.lab.apiserver.rest import body, deleting, lifecycle, reading, updating
from serinus.lab.apiserver.rest.call import Api, Call
from serinus.lab.apiserver.rest.writing import Target
from serinus.lab.apiserver.schema import field_errors
from serinus.lab.apiserver.schema.registry import Kind

_PRIORITY_CLASSES: Final = ("scheduling.k8s.io", "priorityclasses")
_TOLERATED_SECONDS: Final = 300

TOKEN_PATH: Final = "/var/run/secrets/kubernetes.io/serviceaccount"
_TOKEN_SECONDS: Final = 3607
"""The lifetime that Kubernetes asks for; tokens are renewed at four fifths of it."""


def admit(api: Api, pod: Obj) -> None:
    """Gives a new pod its ServiceAccount with its token, its priority and its tolerations."""
    spec = pod.setdefault("spec", {})
    _set_priority(api, pod)
    _tolerate_short_trouble(spec)
    namespace = pod["metadata"]["namespace"]
    name = spec.get("serviceAccountName") or spec.get("serviceAccount") or "default"
    spec["serviceAccountName"] = spec["serviceAccount"] = name
    account = api.store.get(("", "serviceaccounts"), namespace, name)
    if account is None:
        raise errors.forbidden(
            "",
            "pods",
            pod["metadata"].get("name", ""),
            f"error looking up service account {namespace}/{name}: "
            f'serviceaccount "{name}" not found',
        )
    said = account.decode()
    if said.get("imagePullSecrets") and not spec.get("imagePullSecrets"):
        spec["imagePullSecrets"] = said["imagePullSecrets"]
    mounts = spec.get("automountServiceAccountToken")
    if mounts is None:
        mounts = said.get("automountServiceAccountToken", True)
    if mounts:
        _mount_token(spec)


def _set_priority(api: Api, pod: Obj) -> None:
    spec = pod["spec"]
    name = spec.get("priorityClassName") or ""
    classes = {entry.name: entry.decode() for entry in api.store.list(_PRIORITY_CLASSES, "")}
    if name:
        if name not in classes:
            raise errors.forbidden(
                *("", "pods", pod["metadata"].get("name", "")),
                f"no PriorityClass with name {name} was found",
            )
        found = classes[name]
    else:
        defaults = [one for one in classes.values() if one.get("globalDefault")]
        found = max(defaults, key=lambda one: int(one["value"])) if defaults else {}
        if found:
            spec["priorityClassName"] = found["metadata"]["name"]
    spec["priority"] = found.get("value", 0)
    spec.setdefault("preemptionPolicy", found.get("preemptionPolicy", "PreemptLowerPriority"))


def _tolerate_short_trouble(spec: dict[str, Any]) -> None:
    """A node that is gone for less than five minutes keeps its pods."""
    tolerations = spec.get("tolerations") or []
    for trouble in ("not-ready", "unreachable"):
        key = f"node.kubernetes.io/{trouble}"
        if not any(
            one.get("key") in (key, None) and one.get("effect") in ("NoExecute", None)
            for one in tolerations
        ):
            tolerations.append(
                {
                    "key": key,
                    "operator": "Exists",
                    "effect": "NoExecute",
                    "tolerationSeconds": _TOLERATED_SECONDS,
                }
            )
    spec["tolerations"] = tolerations


def _mount_token(spec: dict[str, Any]) -> None:
    volumes = spec.setdefault("volumes", [])
    names = [entry.get("name") or "" for entry in volumes]
    name = next((name for name in names if name.startswith("kube-api-access-")), "")
    containers = [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]
    used = False
    name_wanted = name or f"kube-api-access-{lifecycle.random_suffix()}"
    for container in containers:
        mounts = container.get("volumeMounts") or []
        if any(mount.get("mountPath") == TOKEN_PATH for mount in mounts):
            continue
        used = True
        mounts.append({"name": name_wanted, "readOnly": True, "mountPath": TOKEN_PATH})
        container["volumeMounts"] = mounts
    if used and not name:
        volumes.append({"name": name_wanted, "projected": _token_sources()})
    if not volumes:
        del spec["volumes"]


def _token_sources() -> dict[str, Any]:
    ca = {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}
    namespace = {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}
    return {
        "defaultMode": 420,
        "sources": [
            {"serviceAccountToken": {"expirationSeconds": _TOKEN_SECONDS, "path": "token"}},
            {"configMap": ca},
            {"downwardAPI": {"items": [{"path": "namespace", **namespace}]}},
        ],
    }


def _created() -> Obj:
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}


async def bind(api: Api, call: Call, kind: Kind) -> web.StreamResponse:
    """POST pods/binding or bindings: puts a pod on a node, once."""
    binding, _ = await body.read(call)
    if kind.kind == "Binding":
        pod_kind = api.registry.by_kind("", "v1", "Pod")
        assert pod_kind is not None, "Pod is a built-in kind"
        kind = pod_kind
    name = call.info.name or (binding.get("metadata") or {}).get("name", "")
    node = (binding.get("target") or {}).get("name")
    if not node:
        wrong = field_errors.required("target.name")
        raise errors.invalid("", "Binding", name, [wrong])

    def transform(pod: Obj) -> Obj:
        if pod["spec"].get("nodeName"):
            raise errors.conflict(
                *("", "pods/binding", call.info.name),
                f'pod {call.info.name} is already assigned to node "{pod["spec"]["nodeName"]}"',
            )
        pod["spec"]["nodeName"] = node
        conditions = pod.setdefault("status", {}).setdefault("conditions", [])
        conditions.append(
            {"type": "PodScheduled", "status": "True", "lastTransitionTime": lifecycle.now()}
        )
        return pod

    options = WriteOptions(field_manager="kube-scheduler")
    target = Target(kind, call.info.namespace, name, "binding")
    await updating.update_object(api, call, target, transform, options)
    return call.plain(_created(), HTTPStatus.CREATED)


async def debug(_: Api, call: Call, kind: Kind) -> web.StreamResponse:
    """pods/ephemeralcontainers, which ``kubectl debug`` writes: the kubelet would not run them."""
    why = "the lab runs no ephemeral containers: look into the pod with kubectl exec"
    raise errors.forbidden(kind.group, kind.plural, call.info.name, why)


async def evict(api: Api, call: Call, kind: Kind) -> web.StreamResponse:
    """POST pods/eviction: a deletion that a PodDisruptionBudget may refuse (429)."""
    eviction, _ = await body.read(call)
    options = delete_options(eviction.get("deleteOptions"), call.http.query)
    pod = decode(kind, reading.find(api, call, kind))
    labels = pod["metadata"].get("labels") or {}
    for entry in api.store.list(("policy", "poddisruptionbudgets"), call.info.namespace):
        budget = entry.decode()
        if not selectors.from_object(budget["spec"].get("selector"))(labels):
            continue
        status = budget.get("status") or {}
        if status.get("disruptionsAllowed", 0) < 1:
            error = errors.too_many_requests(
                "Cannot evict pod as it would violate the pod's disruption budget."
            )
            error.details = {
                "causes": [
                    {
                        "reason": "DisruptionBudget",
                        "message": (
                            f"The disruption budget {entry.name} needs "
                            f"{status.get('desiredHealthy', 0)} healthy pods and has "
                            f"{status.get('currentHealthy', 0)} currently"
                        ),
                    }
                ]
            }
            raise error
    target = Target(kind, call.info.namespace, call.info.name)
    await deleting.delete_object(api, call, target, options)
    return call.plain(_created(), HTTPStatus.CREATED)
