{{- /* How targets are asked: (dict "values" of a monitor, "job" what the rules and dashboards call them). */ -}}
{{- define "im-bridge.scraping" -}}
path: /metrics
interval: {{ .values.interval }}
scrapeTimeout: {{ .values.scrapeTimeout }}
relabelings:
  {{- toYaml .job | nindent 2 }}
  {{- with .values.relabelings }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with .values.metricRelabelings }}
metricRelabelings:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- /* What is measured of the cluster itself, beside the rules of the project. */ -}}
{{- define "im-bridge.clusterRules" -}}
{{- $ingress := set (include "im-bridge.ingress" . | fromJson) "root" $ -}}
- name: im-bridge-kubernetes
  rules:
    - alert: ImBridgeOrphanedClaim
      expr: >-
        kube_persistentvolumeclaim_info{namespace={{ .Release.Namespace | quote }},persistentvolumeclaim=~"journal-{{ $ingress.name }}-[0-9]+"}
        unless on (namespace, persistentvolumeclaim)
        kube_pod_spec_volumes_persistentvolumeclaims_info{namespace={{ .Release.Namespace | quote }}}
      for: 30m
      labels: {severity: ticket}
      annotations:
        summary: {{ `No pod has the claim {{ $labels.persistentvolumeclaim }}` | quote }}
        description: >-
          Its pod was scaled in. Its journal may hold callbacks that are acknowledged and not published: drain it with
          drain.ordinals, then delete it. docs/kubernetes.md says how.
{{- end -}}
