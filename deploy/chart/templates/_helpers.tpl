{{- define "serinus.name" -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- end }}

{{- define "serinus.account" -}}
{{- .Values.serviceAccount.name | default (include "serinus.name" .) -}}
{{- end }}

{{/* What never changes in the life of a Deployment. */}}
{{- define "serinus.selector" -}}
app.kubernetes.io/name: {{ include "serinus.name" . }}
{{- end }}

{{- define "serinus.labels" -}}
{{ include "serinus.selector" . }}
app.kubernetes.io/part-of: serinus
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "serinus.replicated" -}}
{{- if gt (int .Values.leaderElection.replicaCount) 1 }}true{{ end -}}
{{- end }}

{{/* Where the Lease is: an operator of one namespace has rights in that one only. */}}
{{- define "serinus.leaseNamespace" -}}
{{- .Values.namespace | default .Release.Namespace -}}
{{- end }}

{{- define "serinus.subjects" -}}
- kind: ServiceAccount
  name: {{ include "serinus.account" . }}
  namespace: {{ .Release.Namespace }}
{{- end }}

{{/* docs/security.md says for each why. */}}
{{- define "serinus.namespacedRules" -}}
- apiGroups: [flagger.app]
  resources: [canaries]
  verbs: [list, watch, patch]
- apiGroups: [flagger.app]
  resources: [metrictemplates, alertproviders]
  verbs: [list, watch]
- apiGroups: [flagger.app]
  resources: [canaries/status]
  verbs: [update]
- apiGroups: [flagger.app]
  resources: [canaries/finalizers]
  verbs: [update]
- apiGroups: [apps]
  resources: [deployments, daemonsets]
  verbs: [get, list, watch, create, patch]
# What a revision is made of beside its pod template, and what providers are called with.
- apiGroups: [""]
  resources: [configmaps, secrets]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [services]
  verbs: [get, list, watch, create, patch]
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  verbs: [list, watch, create, patch]
- apiGroups: [keda.sh]
  resources: [scaledobjects]
  verbs: [list, watch, create, patch]
- apiGroups: [""]
  resources: [events]
  verbs: [create, patch]
- apiGroups: [kuma.io]
  resources: [meshservices]
  verbs: [list, watch]
- apiGroups: [kuma.io]
  resources: [meshhttproutes, meshtcproutes, meshproxypatches, meshtimeouts, meshretries]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [kuma.io]
  resources: [dataplanes]
  verbs: [list]
- apiGroups: [gateway.networking.k8s.io]
  resources: [httproutes]
  verbs: [get, list, watch, create, patch, delete]
{{- end }}

{{- define "serinus.clusterRules" -}}
- apiGroups: [kuma.io]
  resources: [meshes]
  verbs: [list, watch]
- apiGroups: [kuma.io]
  resources: [trafficroutes]
  verbs: [get, list, watch, create, patch, delete]
# Which kinds this cluster's Kuma has says how it wants traffic to be split.
- apiGroups: [apiextensions.k8s.io]
  resources: [customresourcedefinitions]
  resourceNames:
    - meshes.kuma.io
    - meshservices.kuma.io
    - meshmultizoneservices.kuma.io
    - trafficroutes.kuma.io
    - meshhttproutes.kuma.io
    - meshtcproutes.kuma.io
    - meshproxypatches.kuma.io
    - meshtimeouts.kuma.io
    - meshretries.kuma.io
  verbs: [get, list, watch]
# Whether there are KEDA and the Gateway API.
- apiGroups: [apiextensions.k8s.io]
  resources: [customresourcedefinitions]
  resourceNames:
    - scaledobjects.keda.sh
    - httproutes.gateway.networking.k8s.io
  verbs: [list, watch]
{{- end }}
