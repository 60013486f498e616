"""The defaults of pods and of what makes pods (see ``defaults``)."""

from collections.abc import Callable, Mapping
from typing import Any, Final

Object = dict[str, Any]

FILE_MODE: Final = 0o644

_CONTAINER: Final[Object] = {
    "terminationMessagePath": "/dev/termination-log",
    "terminationMessagePolicy": "File",
    "resources": {},
}
_RETAIN: Final = {"whenDeleted": "Retain", "whenScaled": "Retain"}

VALUES: Final[Mapping[str, Object]] = {
    "core.v1.PodSpec": {
        "dnsPolicy": "ClusterFirst",
        "restartPolicy": "Always",
        "schedulerName": "default-scheduler",
        "securityContext": {},
        "terminationGracePeriodSeconds": 30,
    },
    "core.v1.Container": _CONTAINER,
    "core.v1.EphemeralContainer": _CONTAINER,
    "core.v1.ContainerPort": {"protocol": "TCP"},
    "core.v1.HTTPGetAction": {"path": "/", "scheme": "HTTP"},
    "core.v1.GRPCAction": {"service": ""},
    "core.v1.ObjectFieldSelector": {"apiVersion": "v1"},
    "core.v1.SecretVolumeSource": {"defaultMode": FILE_MODE},
    "core.v1.ConfigMapVolumeSource": {"defaultMode": FILE_MODE},
    "core.v1.DownwardAPIVolumeSource": {"defaultMode": FILE_MODE},
    "core.v1.ProjectedVolumeSource": {"defaultMode": FILE_MODE},
    "core.v1.ServiceAccountTokenProjection": {"expirationSeconds": 3600},
    "core.v1.HostPathVolumeSource": {"type": ""},
    "core.v1.ReplicationControllerSpec": {"replicas": 1},
    "apps.v1.DeploymentSpec": {
        "replicas": 1,
        "strategy": {},
        "revisionHistoryLimit": 10,
        "progressDeadlineSeconds": 600,
    },
    "apps.v1.DeploymentStrategy": {"type": "RollingUpdate"},
    "apps.v1.RollingUpdateDeployment": {"maxSurge": "25%", "maxUnavailable": "25%"},
    "apps.v1.ReplicaSetSpec": {"replicas": 1},
    "apps.v1.DaemonSetSpec": {"updateStrategy": {}, "revisionHistoryLimit": 10},
    "apps.v1.DaemonSetUpdateStrategy": {"type": "RollingUpdate"},
    "apps.v1.RollingUpdateDaemonSet": {"maxSurge": 0, "maxUnavailable": 1},
    "apps.v1.StatefulSetSpec": {
        "replicas": 1,
        "podManagementPolicy": "OrderedReady",
        "updateStrategy": {},
        "persistentVolumeClaimRetentionPolicy": _RETAIN,
        "revisionHistoryLimit": 10,
    },
    "apps.v1.StatefulSetPersistentVolumeClaimRetentionPolicy": _RETAIN,
    "apps.v1.StatefulSetUpdateStrategy": {"type": "RollingUpdate"},
    "apps.v1.RollingUpdateStatefulSetStrategy": {"partition": 0},
    "batch.v1.CronJobSpec": {
        "concurrencyPolicy": "Allow",
        "suspend": False,
        "successfulJobsHistoryLimit": 3,
        "failedJobsHistoryLimit": 1,
    },
    "batch.v1.PodFailurePolicyOnPodConditionsPattern": {"status": "True"},
    "autoscaling.v1.HorizontalPodAutoscalerSpec": {"minReplicas": 1},
    "autoscaling.v2.HorizontalPodAutoscalerSpec": {
        "minReplicas": 1,
        "metrics": [
            {
                "type": "Resource",
                "resource": {
                    "name": "cpu",
                    "target": {"type": "Utilization", "averageUtilization": 80},
                },
            }
        ],
    },
}


def pull_policy(image: str) -> str:
    """``Always`` for an image that is ``latest``, in words or by saying nothing."""
    name = image.rsplit("/", 1)[-1]
    tag = name.partition("@")[0].partition(":")[2]
    digest = "@" in name
    return "Always" if tag == "latest" or (not tag and not digest) else "IfNotPresent"


def _container(container: Object) -> None:
    if not container.get("imagePullPolicy") and isinstance(container.get("image", ""), str):
        container["imagePullPolicy"] = pull_policy(container.get("image", ""))


def _probe(probe: Object) -> None:
    # 0 is not valid in these fields: Go reads it as "not said".
    for key, value in (
        ("timeoutSeconds", 1),
        ("periodSeconds", 10),
        ("successThreshold", 1),
        ("failureThreshold", 3),
    ):
        if not probe.get(key):
            probe[key] = value


def _volume(volume: Object) -> None:
    if volume.keys() <= {"name"}:
        volume["emptyDir"] = {}


def _pod_spec(spec: Object) -> None:
    # The old name of the field is still written and read.
    account = spec.get("serviceAccountName") or spec.get("serviceAccount")
    if account:
        spec["serviceAccountName"] = spec["serviceAccount"] = account
    if spec.get("hostNetwork") is True:
        for container in _objects(spec, "containers") + _objects(spec, "initContainers"):
            for port in _objects(container, "ports"):
                if not port.get("hostPort") and "containerPort" in port:
                    port["hostPort"] = port["containerPort"]


def _pod(pod: Object) -> None:
    """What only a pod has, not a pod's template."""
    spec = pod.get("spec")
    if not isinstance(spec, dict):
        return
    spec.setdefault("enableServiceLinks", True)
    for container in _objects(spec, "containers") + _objects(spec, "initContainers"):
        resources = container.get("resources")
        limits = resources.get("limits") if isinstance(resources, dict) else None
        if isinstance(resources, dict) and isinstance(limits, dict) and limits:
            requests = resources.get("requests") or {}
            if isinstance(requests, dict):
                resources["requests"] = {**limits, **requests}


def _rolling(strategy: Object) -> None:
    if strategy.get("type") == "RollingUpdate":
        strategy.setdefault("rollingUpdate", {})


def _job(job: Object) -> None:
    spec = job.get("spec")
    if not isinstance(spec, dict):
        return
    if "completions" not in spec and "parallelism" not in spec:
        spec["completions"] = 1
    # A CronJob's template is no Job yet, so these are not JobSpec's.
    spec.setdefault("parallelism", 1)
    spec.setdefault("completionMode", "NonIndexed")
    spec.setdefault("suspend", False)
    spec.setdefault("manualSelector", False)
    spec.setdefault("backoffLimit", 2**31 - 1 if "backoffLimitPerIndex" in spec else 6)
    failed_only = "podFailurePolicy" in spec
    spec.setdefault("podReplacementPolicy", "Failed" if failed_only else "TerminatingOrFailed")
    _labels_of_template(job, spec)


def _replication_controller(controller: Object) -> None:
    spec = controller.get("spec")
    if isinstance(spec, dict):
        labels = _labels_of_template(controller, spec)
        if labels and not spec.get("selector"):
            spec["selector"] = dict(labels)


def _labels_of_template(obj: Object, spec: Object) -> Object:
    """The template's labels, which the object itself takes if it has none."""
    template = spec.get("template")
    of_template = template.get("metadata") if isinstance(template, dict) else None
    labels = of_template.get("labels") if isinstance(of_template, dict) else None
    if not isinstance(labels, dict) or not labels:
        return {}
    metadata = obj.get("metadata")
    if isinstance(metadata, dict) and not metadata.get("labels"):
        metadata["labels"] = dict(labels)
    return labels


def _autoscaler_v2(spec: Object) -> None:
    if not spec["metrics"]:
        spec["metrics"] = VALUES["autoscaling.v2.HorizontalPodAutoscalerSpec"]["metrics"]
    behavior = spec.get("behavior")
    if not isinstance(behavior, dict):
        return
    up = {
        "stabilizationWindowSeconds": 0,
        "selectPolicy": "Max",
        "policies": [
            {"type": "Pods", "value": 4, "periodSeconds": 15},
            {"type": "Percent", "value": 100, "periodSeconds": 15},
        ],
    }
    down = {
        "selectPolicy": "Max",
        "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}],
    }
    for name, rules in (("scaleUp", up), ("scaleDown", down)):
        given = behavior.get(name) or {}
        if isinstance(given, dict):
            behavior[name] = {**rules, **given}


def _objects(parent: Object, key: str) -> list[Object]:
    found = parent.get(key)
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


RULES: Final[Mapping[str, Callable[[Object], None]]] = {
    "core.v1.Container": _container,
    "core.v1.EphemeralContainer": _container,
    "core.v1.Probe": _probe,
    "core.v1.Volume": _volume,
    "core.v1.PodSpec": _pod_spec,
    "core.v1.Pod": _pod,
    "core.v1.ReplicationController": _replication_controller,
    "apps.v1.DeploymentStrategy": _rolling,
    "apps.v1.DaemonSetUpdateStrategy": _rolling,
    "apps.v1.StatefulSetUpdateStrategy": _rolling,
    "batch.v1.Job": _job,
    "autoscaling.v2.HorizontalPodAutoscalerSpec": _autoscaler_v2,
}
