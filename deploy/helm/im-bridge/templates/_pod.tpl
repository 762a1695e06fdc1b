{{- /* What pods have in common. The context: root, component, place (in values), config, name, ports, command. */ -}}

{{- define "im-bridge.topologySpread" -}}
{{- if kindIs "slice" .config.topologySpreadConstraints -}}
{{- toYaml .config.topologySpreadConstraints -}}
{{- else -}}
{{- range $key := list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
- maxSkew: 1
  topologyKey: {{ $key }}
  whenUnsatisfiable: ScheduleAnyway
  labelSelector:
    matchLabels:
      {{- include "im-bridge.selector" $ | nindent 6 }}
{{- end }}
{{- end -}}
{{- end -}}

{{- define "im-bridge.podMetadata" -}}
labels: # without versions: a new chart with the same image restarts nothing
  {{- include "im-bridge.selector" . | nindent 2 }}
  {{- with .root.Values.commonLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
  {{- with .config.podLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- $values := dict }}
{{- range $name, $source := .config.secretSettings }}
{{- if hasKey $source "value" }}{{ $_ := set $values $name $source.value }}{{ end }}
{{- end }}
{{- if or .config.podAnnotations $values }}
annotations:
  {{- with .config.podAnnotations }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
  {{- with $values }}
  im-bridge/settings: {{ toJson . | sha256sum | trunc 16 | quote }}
  {{- end }}
{{- end }}
{{- end -}}

{{- define "im-bridge.podPlacement" -}}
serviceAccountName: {{ include "im-bridge.serviceAccountName" . }}
automountServiceAccountToken: false # nothing of it asks the cluster for anything
enableServiceLinks: false # a Service of the name "bridge" would set BRIDGE_PORT
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .config.podSecurityContext }}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .config.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .config.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .config.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .config.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "im-bridge.containerBase" -}}
image: {{ include "im-bridge.image" . | quote }}
imagePullPolicy: {{ (.config.image | default dict).pullPolicy | default .root.Values.image.pullPolicy }}
{{- with .config.securityContext }}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
env:
  {{- include "im-bridge.env" . | trim | nindent 2 }}
{{- with .config.extraEnvFrom }}
envFrom:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .config.resources }}
resources:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "im-bridge.probes" -}}
{{- range $kind, $path := dict "startup" "/healthz" "liveness" "/healthz" "readiness" "/readyz" }}
{{- with get $.config.probes $kind }}
{{ $kind }}Probe:
  httpGet: {path: {{ $path }}, port: admin}
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "im-bridge.mounts" -}}
- {name: tmp, mountPath: /tmp}
{{- if include "im-bridge.files" . | fromJson }}
- {name: settings, mountPath: /etc/im-bridge, readOnly: true}
{{- end }}
{{- with .config.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "im-bridge.volumes" -}}
- name: tmp
  emptyDir: {sizeLimit: 64Mi}
{{- include "im-bridge.fileVolume" . }}
{{- with .config.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}
