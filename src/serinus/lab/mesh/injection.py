"""The sidecar that a pod gets, and who gets one.

The kubelet sets up the redirection from the annotations, so there is no ``kuma-init``; Envoy
starts when the mesh has written its configuration.
"""

from pathlib import Path
from typing import Any

from serinus.lab.mesh import transparent
from serinus.lab.mesh.bootstrap import MOUNT
from serinus.lab.mesh.model import (
    INJECTION,
    SIDECAR,
    Obj,
    has_sidecar,
    injection,
    mesh_of,
    takes_part,
)
from serinus.lab.mesh.versions import DEFAULT_MESH, SYSTEM_NAMESPACE, KumaVersion

_VOLUME = "kuma-xds"

IGNORED_ANNOTATION = (
    "the annotation kuma.io/sidecar-injection is ignored by Kuma 2.2 and later; the lab obeys it "
    "all the same. On a real cluster use the label: "
    "kubectl label namespace {name} kuma.io/sidecar-injection=enabled"
)
"""What the namespace's warning event says when a later Kuma is played."""


def by_annotation_only(namespace: Obj) -> bool:
    """Whether a namespace asks for injection in the way that Kuma 2.2 stopped to hear."""
    return bool(injection(namespace)) and injection(namespace, annotations=False) is None


def wanted(version: KumaVersion, pod: Obj, namespace: Obj) -> bool:
    """Whether ``pod`` gets a sidecar: its own word counts before its namespace's."""
    if namespace["metadata"]["name"] == SYSTEM_NAMESPACE:
        return False
    if has_sidecar(pod) or pod["spec"].get("hostNetwork"):
        return False
    own = injection(pod, annotations=version.annotation_injects)
    if not version.namespaces_opt_in:
        return bool(injection(namespace)) if own is None else own
    if not takes_part(namespace):
        return False
    if injection(namespace):
        return own is not False
    # The webhook for single pods looks for this very value.
    return bool((pod["metadata"].get("labels") or {}).get(INJECTION) == "enabled")


def is_of_another(version: KumaVersion, pod: Obj) -> bool:
    """Whether a pod has another version's sidecar and a controller that makes a new pod for it."""
    owners = pod["metadata"].get("ownerReferences") or ()
    spec = pod["spec"]
    containers = [*spec["containers"], *(spec.get("initContainers") or ())]
    image = _image(version)
    return any(owner.get("controller") for owner in owners) and any(
        one["name"] == SIDECAR and one["image"] != image for one in containers
    )


def _image(version: KumaVersion) -> str:
    return f"kuma/kuma-dp:{version.release}"


def inject(version: KumaVersion, pod: Obj, namespace: Obj, xds: Path) -> list[dict[str, Any]]:
    """The JSON patch that adds the sidecar; ``xds`` is the directory of all configurations."""
    meta, spec = dict(pod["metadata"]), dict(pod["spec"])
    mesh = mesh_of(version, pod) or mesh_of(version, namespace) or DEFAULT_MESH
    meta["annotations"] = {
        **(meta.get("annotations") or {}),
        **({"kuma.io/mesh": mesh} if version.mesh_annotation else {}),
        "kuma.io/sidecar-injected": "true",
        "kuma.io/envoy-admin-port": str(transparent.ADMIN_PORT),
        "kuma.io/transparent-proxying": "enabled",
        "kuma.io/transparent-proxying-inbound-port": str(transparent.INBOUND_PORT),
        "kuma.io/transparent-proxying-outbound-port": str(transparent.OUTBOUND_PORT),
    }
    spec["volumes"] = [
        *(spec.get("volumes") or ()),
        {"name": _VOLUME, "hostPath": {"path": str(xds), "type": "DirectoryOrCreate"}},
    ]
    container = _sidecar(version, mesh)
    if version.native_sidecar:
        native = {
            **container,
            "restartPolicy": "Always",
            "startupProbe": _probe(failures=120),
        }
        spec["initContainers"] = [native, *(spec.get("initContainers") or ())]
    else:
        spec["containers"] = [*spec["containers"], container]
    return [
        {"op": "replace", "path": "/metadata", "value": meta},
        {"op": "replace", "path": "/spec", "value": spec},
    ]


def _probe(failures: int) -> dict[str, Any]:
    return {
        "httpGet": {"path": "/ready", "port": transparent.READY_PORT, "scheme": "HTTP"},
        "periodSeconds": 1,
        "timeoutSeconds": 3,
        "successThreshold": 1,
        "failureThreshold": failures,
    }


def _sidecar(version: KumaVersion, mesh: str) -> dict[str, Any]:
    fields = {
        "POD_NAME": "metadata.name",
        "POD_NAMESPACE": "metadata.namespace",
        "POD_UID": "metadata.uid",
        "INSTANCE_IP": "status.podIP",
    }
    env: list[dict[str, Any]] = [
        {"name": name, "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": path}}}
        for name, path in fields.items()
    ]
    env.append({"name": "KUMA_DATAPLANE_MESH", "value": mesh})
    return {
        "name": SIDECAR,
        "image": _image(version),
        "imagePullPolicy": "IfNotPresent",
        "env": env,
        "ports": [
            {"name": "kuma-metrics", "containerPort": transparent.METRICS_PORT, "protocol": "TCP"}
        ],
        "readinessProbe": {
            **_probe(failures=12),
            "periodSeconds": 5 if version.native_sidecar else 1,
        },
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
        # As Kuma's injector asks for: an HPA on CPU needs a request of every container.
        "resources": {
            "requests": {"cpu": "50m", "memory": "64Mi"},
            "limits": {"cpu": "1000m", "memory": "512Mi"},
        },
        "volumeMounts": [
            {
                "name": _VOLUME,
                "mountPath": str(MOUNT),
                "subPathExpr": "$(POD_UID)",
                "readOnly": True,
            }
        ],
    }
