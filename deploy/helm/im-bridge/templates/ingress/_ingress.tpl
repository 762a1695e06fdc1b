{{- define "im-bridge.ingress" -}}
{{- $context := dict "root" . "component" "ingress" "place" "ingress" "config" (include "im-bridge.given" .Values.ingress | fromJson) -}}
{{- toJson (set (omit $context "root") "name" (include "im-bridge.component" $context)) -}}
{{- end -}}

{{- /* A quantity of bytes as a number: 8Gi, 500M, 1000000. */ -}}
{{- define "im-bridge.bytes" -}}
{{- $units := dict "" 1 "k" 1000 "M" 1000000 "G" 1000000000 "T" 1000000000000 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 -}}
{{- mulf (regexFind "^[0-9.]+" . | float64) (get $units (regexFind "[A-Za-z]*$" .)) | int64 -}}
{{- end -}}

{{- define "im-bridge.checkDisk" -}}
{{- $settings := .config.settings -}}
{{- $processes := get $settings "BRIDGE_WORKERS" | default 1 | int64 -}}
{{- $journal := get $settings "BRIDGE_JOURNAL_MAX_BYTES" | default 2147483648 | int64 -}}
{{- $quarantine := get $settings "BRIDGE_QUARANTINE_MAX_BYTES" | default 268435456 | int64 -}}
{{- $needed := div (mul $processes (add $journal $quarantine) 11) 10 -}}
{{- $size := include "im-bridge.bytes" (.config.persistence.size | toString) | int64 -}}
{{- if lt $size $needed -}}
{{- fail (printf "\n\ningress.persistence.size (%v) is too small: BRIDGE_WORKERS (%d) × (BRIDGE_JOURNAL_MAX_BYTES (%d) + BRIDGE_QUARANTINE_MAX_BYTES (%d)) and a tenth more is %d MiB. Raise it, or lower ingress.settings.BRIDGE_JOURNAL_MAX_BYTES\n" .config.persistence.size $processes $journal $quarantine (add 1 (div $needed 1048576))) -}}
{{- end -}}
{{- end -}}
