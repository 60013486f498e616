{{- define "loadtester.name" -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- end }}

{{/* What never changes in the life of a Deployment. */}}
{{- define "loadtester.selector" -}}
app: {{ include "loadtester.name" . }}
{{- end }}

{{- define "loadtester.labels" -}}
{{ include "loadtester.selector" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}
