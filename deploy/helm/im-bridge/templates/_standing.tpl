{{- /* The service account and the disruption budget of a component. */ -}}
{{- define "im-bridge.standing" -}}
{{- if .config.serviceAccount.create }}
---
apiVersion: v1
kind: ServiceAccount
metadata:
  {{- include "im-bridge.metadata" (dict "root" .root "component" .component "name" (include "im-bridge.serviceAccountName" .)) | nindent 2 }}
  {{- with .config.serviceAccount.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
automountServiceAccountToken: false
{{- end }}
{{- with .config.podDisruptionBudget }}
{{- if .enabled }}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  {{- include "im-bridge.metadata" $ | nindent 2 }}
spec:
  maxUnavailable: {{ .maxUnavailable }}
  unhealthyPodEvictionPolicy: AlwaysAllow # one that refuses callbacks need not hold up a node that is to go
  selector:
    matchLabels:
      {{- include "im-bridge.selector" $ | nindent 6 }}
{{- end }}
{{- end }}
{{- $values := dict }}
{{- range $name, $source := .config.secretSettings }}
{{- if hasKey $source "value" }}{{ $_ := set $values $name (include "im-bridge.envValue" $source.value) }}{{ end }}
{{- end }}
{{- with $values }}
---
apiVersion: v1
kind: Secret
metadata:
  {{- include "im-bridge.metadata" (dict "root" $.root "component" $.component "name" (printf "%s-settings" $.name)) | nindent 2 }}
type: Opaque
stringData:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "im-bridge.adminRule" -}}
- ports: [{port: admin}]
  from:
    - podSelector: {}
    {{- with .adminFrom }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end -}}

{{- define "im-bridge.dnsRule" -}}
- ports: [{port: 53, protocol: UDP}, {port: 53, protocol: TCP}]
{{- end -}}
