{{- /* Names and labels. */ -}}

{{- define "im-bridge.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- /* 40 characters at most, so that what is added to it fits into 63, with the hash that a controller adds. */ -}}
{{- define "im-bridge.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains (include "im-bridge.name" .) .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "im-bridge.name" .) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- /* The name of a component's objects: (dict "root" $ "component" "ingress"). */ -}}
{{- define "im-bridge.component" -}}
{{- printf "%s-%s" (include "im-bridge.fullname" .root) .component | trunc 52 | trimSuffix "-" -}}
{{- end -}}

{{- /* What pods of a component are selected by; it must not change between versions. */ -}}
{{- define "im-bridge.selector" -}}
app.kubernetes.io/name: {{ include "im-bridge.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "im-bridge.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
app.kubernetes.io/part-of: im-bridge
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
{{ include "im-bridge.selector" . }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "im-bridge.metadata" -}}
name: {{ .name }}
namespace: {{ .root.Release.Namespace }}
labels:
  {{- include "im-bridge.labels" . | nindent 2 }}
{{- end -}}

{{- define "im-bridge.serviceAccountName" -}}
{{- if .config.serviceAccount.create -}}
{{- .config.serviceAccount.name | default (include "im-bridge.component" .) -}}
{{- else -}}
{{- .config.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end -}}

{{- define "im-bridge.image" -}}
{{- $image := include "im-bridge.merged" (list .root.Values.image (.config.image | default dict)) | fromJson -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $image.repository $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $image.repository ($image.tag | default .root.Chart.AppVersion | toString) -}}
{{- end -}}
{{- end -}}
