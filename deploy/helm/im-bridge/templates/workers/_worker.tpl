{{- /* The context of each worker that is enabled, by its name: JSON. `root` has to be set. */ -}}
{{- define "im-bridge.workers" -}}
{{- $workers := dict -}}
{{- range $name, $own := .Values.workers -}}
{{- $config := include "im-bridge.merged" (list $.Values.workerDefaults ($own | default dict)) | fromJson -}}
{{- $config = include "im-bridge.given" $config | fromJson -}}
{{- if $config.enabled -}}
{{- if eq $name "ingress" "drain" -}}
{{- fail (printf "\n\nworkers.%s: this name is taken, give the worker another one\n" $name) -}}
{{- end -}}
{{- $context := dict "component" $name "place" (printf "workers.%s" $name) "config" $config -}}
{{- $_ := set $context "worker" ($config.worker | default $name) -}}
{{- $_ := set $context "name" (include "im-bridge.component" (merge (dict "root" $) $context)) -}}
{{- $_ := set $workers $name $context -}}
{{- end -}}
{{- end -}}
{{- toJson $workers -}}
{{- end -}}

{{- /* What each worker of ours needs, and what none may have. */ -}}
{{- define "im-bridge.checkWorker" -}}
{{- $needed := dict "badges" (list "CONSUMERS_REDIS_URL") "reconcile" (list "CONSUMERS_REDIS_URL" "CONSUMERS_IM_APPS") "forward" (list "CONSUMERS_FORWARD_URL") "backfill" (list "CONSUMERS_IM_APPS") -}}
{{- $settings := .config.settings -}}
{{- $place := .place -}}
{{- $config := .config -}}
{{- range $name := get $needed .worker | default list -}}
{{- if not (or (hasKey $settings $name) (hasKey $settings (print $name "_FILE")) (hasKey $config.secretSettings $name)) -}}
{{- fail (printf "\n\n%s needs %s: set it in %s.settings, or, where it is a secret, in %s.secretSettings\n" $place $name $place $place) -}}
{{- end -}}
{{- end -}}
{{- if and (eq .worker "backfill") (gt (int64 $config.replicas) 1) -}}
{{- fail (printf "\n\n%s.replicas must be 1: two would publish the same twice\n" $place) -}}
{{- end -}}
{{- if and (eq .worker "backfill") (not $config.archive) -}}
{{- fail (printf "\n\n%s needs a place for the files of an hour: set %s.archive.size, or %s.archive.existingClaim\n" $place $place $place) -}}
{{- end -}}
{{- if and (hasKey $settings "CONSUMERS_GROUP_INSTANCE_ID") (or $config.autoscaling.enabled (gt (int64 $config.replicas) 1)) -}}
{{- fail (printf "\n\n%s.settings.CONSUMERS_GROUP_INSTANCE_ID would be the same in all pods, and some would get no event: remove it, or have one replica\n" $place) -}}
{{- end -}}
{{- end -}}
