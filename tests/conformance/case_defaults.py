"""What the server fills in, and what it makes of quantities and durations."""

from conformance.cases import case
from conformance.objects import autoscaler, deployment, pod, service
from conformance.talk import Talk


@case
def deployment_of_little(t: Talk) -> None:
    t.post(f"{t.apps}/deployments", deployment())


@case
def deployment_of_much(t: Talk) -> None:
    made = deployment(strategy={"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}})
    spec = made["spec"]["template"]["spec"]
    probe = {"httpGet": {"port": 9898, "path": "/healthz"}}
    spec["containers"][0] |= {
        "livenessProbe": probe,
        "readinessProbe": {"tcpSocket": {"port": 9898}},
        "startupProbe": {"exec": {"command": ["true"]}, "periodSeconds": 3},
        "resources": {
            "limits": {"cpu": "1000m", "memory": "1024Mi"},
            "requests": {"cpu": 0.5, "memory": "1e3"},
        },
        "env": [
            {"name": "A", "value": "1"},
            {"name": "B", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        ],
        "volumeMounts": [{"name": "c", "mountPath": "/c"}],
        "lifecycle": {"preStop": {"httpGet": {"port": 80}}},
    }
    spec["initContainers"] = [{"name": "init", "image": "play"}]
    spec["volumes"] = [
        {"name": "c", "configMap": {"name": "c"}},
        {"name": "s", "secret": {"secretName": "s"}},
        {"name": "e"},
        {
            "name": "d",
            "downwardAPI": {"items": [{"path": "x", "fieldRef": {"fieldPath": "metadata.labels"}}]},
        },
        {"name": "h", "hostPath": {"path": "/x"}},
        {"name": "p", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}},
    ]
    spec["serviceAccountName"] = "default"
    spec["topologySpreadConstraints"] = [
        {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}
    ]
    t.post(f"{t.apps}/deployments", made)


@case
def deployment_strategies(t: Talk) -> None:
    t.post(f"{t.apps}/deployments", deployment("a", strategy={"type": "Recreate"}))
    t.post(f"{t.apps}/deployments", deployment("b", strategy={"type": "Other"}))
    rolling = {"maxUnavailable": "0%", "maxSurge": 0}
    t.post(f"{t.apps}/deployments", deployment("c", strategy={"rollingUpdate": rolling}))


@case
def images_pull_policy(t: Talk) -> None:
    for name, image in (
        ("a", "play"),
        ("b", "play:latest"),
        ("c", "play:v1"),
        ("d", "x/y@sha256:" + "0" * 64),
    ):
        made = pod(name)
        made["spec"]["containers"][0]["image"] = image
        t.post(
            f"{t.core}/pods", made, keep=lambda one: one["spec"]["containers"][0]["imagePullPolicy"]
        )


@case
def pod_of_little(t: Talk) -> None:
    t.post(f"{t.core}/pods", pod(), keep=_without_token)


@case
def pod_with_resources(t: Talk) -> None:
    made = pod()
    made["spec"]["containers"][0]["resources"] = {"limits": {"cpu": "1", "memory": "1Gi"}}
    t.post(f"{t.core}/pods", made, keep=_without_token)


def _without_token(made: dict) -> dict:  # type: ignore[type-arg]
    """The volume of its token has a name of chance."""
    spec = made["spec"]
    spec["volumes"] = [{**one, "name": "TOKEN"} for one in spec.get("volumes", [])]
    for container in spec["containers"]:
        for mount in container.get("volumeMounts", []):
            mount["name"] = "TOKEN"
    made["metadata"].pop("managedFields")
    return made


@case
def services(t: Talk) -> None:
    t.post(f"{t.core}/services", service())
    t.post(f"{t.core}/services", service("headless", clusterIP="None"))
    t.post(f"{t.core}/services", service("node", type="NodePort"))
    t.post(f"{t.core}/services", service("balanced", type="LoadBalancer"))
    named = [{"port": 80, "name": "a", "targetPort": "http"}, {"port": 81, "name": "b"}]
    t.post(f"{t.core}/services", service("ports", ports=named))
    sticky = service("sticky", sessionAffinity="ClientIP")
    t.post(f"{t.core}/services", sticky)


@case
def services_without_pods(t: Talk) -> None:
    outside = service("outside", type="ExternalName", externalName="example.org")
    t.post(f"{t.core}/services", outside)
    made = service("manual")
    del made["spec"]["selector"]
    t.post(f"{t.core}/services", made)


@case
def services_refused(t: Talk) -> None:
    t.post(f"{t.core}/services", service(ports=[]))
    t.post(f"{t.core}/services", service(ports=[{"port": 0}]))
    t.post(f"{t.core}/services", service(ports=[{"port": 70000}]))
    t.post(f"{t.core}/services", service(ports=[{"port": 80}, {"port": 81}]))
    t.post(
        f"{t.core}/services", service(ports=[{"port": 80, "name": "a"}, {"port": 80, "name": "b"}])
    )
    t.post(f"{t.core}/services", service(ports=[{"port": 80, "protocol": "X"}]))
    t.post(f"{t.core}/services", service("App"))
    t.post(f"{t.core}/services", service(type="Other"))
    t.post(f"{t.core}/services", service(clusterIP="1.2.3.4"))


@case
def service_changes_its_type(t: Talk) -> None:
    t.post(f"{t.core}/services", service())
    t.merge(f"{t.core}/services/app", {"spec": {"type": "NodePort"}})
    t.merge(f"{t.core}/services/app", {"spec": {"type": "ClusterIP"}})
    t.merge(f"{t.core}/services/app", {"spec": {"selector": {"app": "other"}}})


@case
def autoscalers(t: Talk) -> None:
    path = f"/apis/autoscaling/v2/namespaces/{t.namespace}/horizontalpodautoscalers"
    t.post(path, autoscaler())
    cpu = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}
    metrics = [{"type": "Resource", "resource": cpu}]
    behaviour = {"scaleDown": {"stabilizationWindowSeconds": 5}}
    t.post(path, autoscaler(name="two", metrics=metrics, behavior=behaviour, minReplicas=2))


@case
def autoscaler_of_version_1(t: Talk) -> None:
    path = f"/apis/autoscaling/v1/namespaces/{t.namespace}/horizontalpodautoscalers"
    t.post(path, autoscaler("v1", targetCPUUtilizationPercentage=60))
    t.get(path.replace("/v1/", "/v2/") + "/app")
    t.get(path + "/app")


@case
def autoscalers_refused(t: Talk) -> None:
    path = f"/apis/autoscaling/v2/namespaces/{t.namespace}/horizontalpodautoscalers"
    t.post(path, autoscaler(maxReplicas=0))
    t.post(path, autoscaler(minReplicas=5))
    t.post(path, autoscaler(metrics=[{"type": "Resource"}]))
    t.post(path, autoscaler(scaleTargetRef={"kind": "Deployment"}))


@case
def secrets(t: Talk) -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "one"}}
    t.post(f"{t.core}/secrets", {**secret, "stringData": {"a": "b"}})
    t.post(f"{t.core}/secrets", {**secret, "metadata": {"name": "two"}, "data": {"a": "%%"}})
    t.merge(f"{t.core}/secrets/one", {"type": "other"})


@case
def service_accounts(t: Talk) -> None:
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "one"}}
    t.post(f"{t.core}/serviceaccounts", account)
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    t.post(
        f"{t.core}/serviceaccounts/one/token",
        request,
        keep=lambda one: {**one, "status": sorted(one["status"])},
    )
    t.post(f"{t.core}/serviceaccounts/none/token", request)
    short = {**request, "spec": {"expirationSeconds": 10}}
    t.post(f"{t.core}/serviceaccounts/one/token", short)


@case
def leases(t: Talk) -> None:
    path = f"/apis/coordination.k8s.io/v1/namespaces/{t.namespace}/leases"
    lease = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": "one"},
        "spec": {
            "holderIdentity": "me",
            "leaseDurationSeconds": 15,
            "acquireTime": "2026-01-02T03:04:05.678901Z",
            "renewTime": "2026-01-02T03:04:05.000000Z",
        },
    }
    t.post(path, lease)
    t.merge(f"{path}/one", {"spec": {"leaseDurationSeconds": 0}})
    t.merge(f"{path}/one", {"spec": {"renewTime": "yesterday"}})


@case
def namespaces(t: Talk) -> None:
    t.get(f"/api/v1/namespaces/{t.namespace}")


@case
def leases_refused(t: Talk) -> None:
    path = f"/apis/coordination.k8s.io/v1/namespaces/{t.namespace}/leases"
    for spec in ({"leaseDurationSeconds": -1}, {"leaseTransitions": -1}):
        t.post(path, {"metadata": {"name": "one"}, "spec": spec})


@case
def events_of_what_has_no_namespace(t: Talk) -> None:
    event = {"metadata": {"name": "one.1"}, "involvedObject": {"kind": "Node", "name": "x"}}
    t.post(f"{t.core}/events", {**event, "reason": "R", "message": "m"}, keep=lambda _: "made")


@case
def events(t: Talk) -> None:
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": "one.1"},
        "involvedObject": {"kind": "Pod", "namespace": t.namespace, "name": "x"},
        "reason": "R",
        "message": "m",
        "type": "Normal",
    }
    t.post(f"{t.core}/events", event)
    event["metadata"] = {"name": "two.1"}
    event["involvedObject"]["namespace"] = "other"
    t.post(f"{t.core}/events", event)
