"""The kinds of objects that Serinus and its lab read or write."""

from serinus.cluster.resource import Resource

NAMESPACES = Resource("", "v1", "namespaces", "Namespace", namespaced=False)
NODES = Resource("", "v1", "nodes", "Node", namespaced=False)
PODS = Resource("", "v1", "pods", "Pod")
SERVICES = Resource("", "v1", "services", "Service")
SERVICEACCOUNTS = Resource("", "v1", "serviceaccounts", "ServiceAccount")
ENDPOINTS = Resource("", "v1", "endpoints", "Endpoints")
CONFIGMAPS = Resource("", "v1", "configmaps", "ConfigMap")
SECRETS = Resource("", "v1", "secrets", "Secret")
EVENTS = Resource("", "v1", "events", "Event")

DEPLOYMENTS = Resource("apps", "v1", "deployments", "Deployment")
REPLICASETS = Resource("apps", "v1", "replicasets", "ReplicaSet")
DAEMONSETS = Resource("apps", "v1", "daemonsets", "DaemonSet")
HPAS = Resource("autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler")
SCALEDOBJECTS = Resource("keda.sh", "v1alpha1", "scaledobjects", "ScaledObject")
ENDPOINTSLICES = Resource("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice")
LEASES = Resource("coordination.k8s.io", "v1", "leases", "Lease")
CRDS = Resource(
    "apiextensions.k8s.io",
    "v1",
    "customresourcedefinitions",
    "CustomResourceDefinition",
    namespaced=False,
)
CLUSTERROLES = Resource(
    "rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole", namespaced=False
)
CLUSTERROLEBINDINGS = Resource(
    "rbac.authorization.k8s.io", "v1", "clusterrolebindings", "ClusterRoleBinding", namespaced=False
)
ROLES = Resource("rbac.authorization.k8s.io", "v1", "roles", "Role")
ROLEBINDINGS = Resource("rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding")
MUTATING_WEBHOOKS = Resource(
    "admissionregistration.k8s.io",
    "v1",
    "mutatingwebhookconfigurations",
    "MutatingWebhookConfiguration",
    namespaced=False,
)
VALIDATING_WEBHOOKS = Resource(
    "admissionregistration.k8s.io",
    "v1",
    "validatingwebhookconfigurations",
    "ValidatingWebhookConfiguration",
    namespaced=False,
)

CANARIES = Resource("flagger.app", "v1beta1", "canaries", "Canary")
METRICTEMPLATES = Resource("flagger.app", "v1beta1", "metrictemplates", "MetricTemplate")
ALERTPROVIDERS = Resource("flagger.app", "v1beta1", "alertproviders", "AlertProvider")

MESHES = Resource("kuma.io", "v1alpha1", "meshes", "Mesh", namespaced=False)
TRAFFICROUTES = Resource("kuma.io", "v1alpha1", "trafficroutes", "TrafficRoute", namespaced=False)
TRAFFICPERMISSIONS = Resource(
    "kuma.io", "v1alpha1", "trafficpermissions", "TrafficPermission", namespaced=False
)
MESHTRAFFICPERMISSIONS = Resource(
    "kuma.io", "v1alpha1", "meshtrafficpermissions", "MeshTrafficPermission"
)
DATAPLANES = Resource("kuma.io", "v1alpha1", "dataplanes", "Dataplane")
MESHSERVICES = Resource("kuma.io", "v1alpha1", "meshservices", "MeshService")
MESHHTTPROUTES = Resource("kuma.io", "v1alpha1", "meshhttproutes", "MeshHTTPRoute")
MESHTCPROUTES = Resource("kuma.io", "v1alpha1", "meshtcproutes", "MeshTCPRoute")
MESHPROXYPATCHES = Resource("kuma.io", "v1alpha1", "meshproxypatches", "MeshProxyPatch")
MESHMETRICS = Resource("kuma.io", "v1alpha1", "meshmetrics", "MeshMetric")
MESHTIMEOUTS = Resource("kuma.io", "v1alpha1", "meshtimeouts", "MeshTimeout")
MESHRETRIES = Resource("kuma.io", "v1alpha1", "meshretries", "MeshRetry")

HTTPROUTES = Resource("gateway.networking.k8s.io", "v1", "httproutes", "HTTPRoute")
REFERENCEGRANTS = Resource(
    "gateway.networking.k8s.io", "v1beta1", "referencegrants", "ReferenceGrant"
)
