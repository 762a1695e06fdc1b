{{- /* From values to environment variables and mounted files. */ -}}

{{- /*
Two maps made one, the second over the first: (list $below $above), answered as JSON. `merge` of the template language
takes what is false, 0 or empty for absent.
*/ -}}
{{- define "im-bridge.merged" -}}
{{- $merged := dict -}}
{{- range $key, $value := index . 0 -}}{{- $_ := set $merged $key $value -}}{{- end -}}
{{- range $key, $value := index . 1 -}}
{{- if and (kindIs "map" $value) (kindIs "map" (get $merged $key)) -}}
{{- $_ := set $merged $key (include "im-bridge.merged" (list (get $merged $key) $value) | fromJson) -}}
{{- else -}}
{{- $_ := set $merged $key $value -}}
{{- end -}}
{{- end -}}
{{- toJson $merged -}}
{{- end -}}

{{- /* What is given of a component, as JSON: `null` takes a setting away that another file of values has. */ -}}
{{- define "im-bridge.given" -}}
{{- $given := deepCopy . -}}
{{- range $kind := list "settings" "secretSettings" "fileSettings" -}}
{{- $present := dict -}}
{{- range $name, $value := get $given $kind -}}
{{- if not (kindIs "invalid" $value) -}}{{- $_ := set $present $name $value -}}{{- end -}}
{{- end -}}
{{- $_ := set $given $kind $present -}}
{{- end -}}
{{- toJson $given -}}
{{- end -}}

{{- /* A value as an environment variable has it. Numbers are floats here, and must not become 2.147483648e+09. */ -}}
{{- define "im-bridge.envValue" -}}
{{- if kindIs "float64" . -}}
{{- if eq (floor .) . -}}{{- int64 . -}}{{- else -}}{{- . -}}{{- end -}}
{{- else if or (kindIs "map" .) (kindIs "slice" .) -}}
{{- toJson . -}}
{{- else -}}
{{- toString . -}}
{{- end -}}
{{- end -}}

{{- /* The prefix of a component's variables. */ -}}
{{- define "im-bridge.prefix" -}}
{{- if eq .component "ingress" -}}BRIDGE_{{- else -}}CONSUMERS_{{- end -}}
{{- end -}}

{{- /* Kafka as a component sees it: (dict "root" $ "config" $config). JSON. */ -}}
{{- define "im-bridge.kafka" -}}
{{- include "im-bridge.merged" (list .root.Values.kafka (.config.kafka | default dict)) -}}
{{- end -}}

{{- /* The settings of a component as a JSON object of name → value, without those that come from files. */ -}}
{{- define "im-bridge.settings" -}}
{{- $prefix := include "im-bridge.prefix" . -}}
{{- $kafka := include "im-bridge.kafka" . | fromJson -}}
{{- $settings := dict (print $prefix "ADMIN_HOST") "0.0.0.0" (print $prefix "ADMIN_PORT") 9090 (print $prefix "LOG_FORMAT") "json" -}}
{{- if eq .component "ingress" -}}
{{- $_ := set $settings "BRIDGE_PORT" 8080 -}}
{{- $_ := set $settings "BRIDGE_JOURNAL_DIR" "/var/lib/bridge" -}}
{{- else if eq (.worker | default "") "backfill" -}}
{{- $_ := set $settings "CONSUMERS_ARCHIVE_DIR" "/var/lib/archive" -}}
{{- end -}}
{{- $_ := set $settings (print $prefix "KAFKA_BOOTSTRAP_SERVERS") $kafka.bootstrapServers -}}
{{- $_ := set $settings (print $prefix "KAFKA_SECURITY_PROTOCOL") $kafka.securityProtocol -}}
{{- if hasPrefix "SASL" $kafka.securityProtocol -}}
{{- $_ := set $settings (print $prefix "KAFKA_SASL_MECHANISM") $kafka.sasl.mechanism -}}
{{- $_ := set $settings (print $prefix "KAFKA_SASL_USERNAME") $kafka.sasl.username -}}
{{- end -}}
{{- if and (hasSuffix "SSL" $kafka.securityProtocol) (not $kafka.tls.checkHostname) -}}
{{- $_ := set $settings (print $prefix "KAFKA_SSL_CHECK_HOSTNAME") "false" -}}
{{- end -}}
{{- range $name, $value := .config.settings -}}
{{- $_ := set $settings $name $value -}}
{{- end -}}
{{- toJson $settings -}}
{{- end -}}

{{- /*
The files of a component as a JSON object of setting → {secret | configMap, key, variable}: where the file comes from,
and which variable names it.
*/ -}}
{{- define "im-bridge.files" -}}
{{- $prefix := include "im-bridge.prefix" . -}}
{{- $kafka := include "im-bridge.kafka" . | fromJson -}}
{{- $files := dict -}}
{{- if and (hasPrefix "SASL" $kafka.securityProtocol) $kafka.sasl.existingSecret -}}
{{- $name := print $prefix "KAFKA_SASL_PASSWORD" -}}
{{- $_ := set $files $name (dict "secret" $kafka.sasl.existingSecret "key" $kafka.sasl.passwordKey "variable" (print $name "_FILE")) -}}
{{- end -}}
{{- if and (hasSuffix "SSL" $kafka.securityProtocol) $kafka.tls.caSecret -}}
{{- $name := print $prefix "KAFKA_SSL_CAFILE" -}}
{{- $_ := set $files $name (dict "secret" $kafka.tls.caSecret "key" $kafka.tls.caKey "variable" $name) -}}
{{- end -}}
{{- if and (hasSuffix "SSL" $kafka.securityProtocol) $kafka.tls.certSecret -}}
{{- $name := print $prefix "KAFKA_SSL_CERTFILE" -}}
{{- $_ := set $files $name (dict "secret" $kafka.tls.certSecret "key" $kafka.tls.certKey "variable" $name) -}}
{{- $name := print $prefix "KAFKA_SSL_KEYFILE" -}}
{{- $_ := set $files $name (dict "secret" $kafka.tls.certSecret "key" $kafka.tls.keyKey "variable" $name) -}}
{{- end -}}
{{- $config := .config -}}
{{- $place := .place -}}
{{- $own := printf "%s-settings" (include "im-bridge.component" .) -}}
{{- range $name, $source := .config.secretSettings -}}
{{- if hasKey $source "value" -}}
{{- $_ := set $files $name (dict "secret" $own "key" $name "variable" (print $name "_FILE")) -}}
{{- else -}}
{{- $secret := $source.secret | default $config.existingSecret -}}
{{- if not $secret -}}
{{- fail (printf "\n\n%s.secretSettings.%s: no Secret has it. Set %s.existingSecret to the name of one with the key %s, or give this one its own as {secret: NAME, key: KEY}; to try things, {value: …}\n" $place $name $place $name) -}}
{{- end -}}
{{- $_ := set $files $name (dict "secret" $secret "key" ($source.key | default $name) "variable" (print $name "_FILE")) -}}
{{- end -}}
{{- end -}}
{{- range $name, $source := .config.fileSettings -}}
{{- $_ := set $files $name (merge (dict "variable" $name) $source) -}}
{{- end -}}
{{- toJson $files -}}
{{- end -}}

{{- define "im-bridge.env" -}}
{{- $files := include "im-bridge.files" . | fromJson -}}
{{- range $name, $value := include "im-bridge.settings" . | fromJson }}
{{- if not (hasKey $files $name) }}
- name: {{ $name }}
  value: {{ include "im-bridge.envValue" $value | quote }}
{{- end }}
{{- end }}
{{- range $name, $file := $files }}
- name: {{ $file.variable }}
  value: {{ printf "/etc/im-bridge/%s" $name | quote }}
{{- end }}
{{- with .config.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- /* All files of settings in one volume, which the kubelet brings up to date when a Secret changes. */ -}}
{{- define "im-bridge.fileVolume" -}}
{{- with include "im-bridge.files" . | fromJson }}
- name: settings
  projected:
    defaultMode: 0440
    sources:
      {{- range $name, $file := . }}
      - {{ if $file.configMap }}configMap{{ else }}secret{{ end }}:
          name: {{ $file.configMap | default $file.secret }}
          items: [{key: {{ $file.key | quote }}, path: {{ $name }}}]
      {{- end }}
{{- end }}
{{- end -}}

{{- /* What would be found out by pods that do not start is told here. */ -}}
{{- define "im-bridge.check" -}}
{{- $place := .place -}}
{{- $config := .config -}}
{{- $prefix := include "im-bridge.prefix" . -}}
{{- $kafka := include "im-bridge.kafka" . | fromJson -}}
{{- if not (or $kafka.bootstrapServers (get $config.settings (print $prefix "KAFKA_BOOTSTRAP_SERVERS"))) -}}
{{- fail "\n\nkafka.bootstrapServers is not set: name the brokers to find the cluster by, as host:port,host:port\n" -}}
{{- end -}}
{{- if hasPrefix "SASL" $kafka.securityProtocol -}}
{{- $username := print $prefix "KAFKA_SASL_USERNAME" -}}
{{- if not (or $kafka.sasl.username (hasKey $config.settings $username) (hasKey $config.secretSettings $username)) -}}
{{- fail (printf "\n\nkafka.securityProtocol is %s, so kafka.sasl.username must be set\n" $kafka.securityProtocol) -}}
{{- end -}}
{{- if not (or $kafka.sasl.existingSecret (hasKey $config.secretSettings (print $prefix "KAFKA_SASL_PASSWORD"))) -}}
{{- fail (printf "\n\nkafka.securityProtocol is %s, so kafka.sasl.existingSecret must be the name of the Secret with the password, in its key kafka.sasl.passwordKey\n" $kafka.securityProtocol) -}}
{{- end -}}
{{- end -}}
{{- if and (or $kafka.tls.caSecret $kafka.tls.certSecret) (not (hasSuffix "SSL" $kafka.securityProtocol)) -}}
{{- fail (printf "\n\nkafka.tls has no effect while kafka.securityProtocol is %s: set that to SSL or SASL_SSL, or remove caSecret and certSecret\n" $kafka.securityProtocol) -}}
{{- end -}}
{{- range $name := list "APPS" "IM_APPS" "KAFKA_SASL_PASSWORD" "FORWARD_SECRET" "CONSOLE_TOKEN" -}}
{{- $name = print $prefix $name -}}
{{- if hasKey $config.settings $name -}}
{{- fail (printf "\n\n%s.settings.%s is a secret, and would be readable in the pod: put it into a Secret, and name that in %s.secretSettings.%s\n" $place $name $place $name) -}}
{{- end -}}
{{- end -}}
{{- if contains "@" (get $config.settings "CONSUMERS_REDIS_URL" | toString) -}}
{{- fail (printf "\n\n%s.settings.CONSUMERS_REDIS_URL has a password, which would be readable in the pod: put the URL into a Secret, and name that in %s.secretSettings.CONSUMERS_REDIS_URL\n" $place $place) -}}
{{- end -}}
{{- range $name, $source := $config.secretSettings -}}
{{- if hasKey $config.settings $name -}}
{{- fail (printf "\n\n%s.settings and %s.secretSettings both have %s: remove one\n" $place $place $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
