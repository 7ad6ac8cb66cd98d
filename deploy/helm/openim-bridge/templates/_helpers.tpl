{{- define "openim-bridge.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "openim-bridge.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else if contains (include "openim-bridge.name" .) .Release.Name }}
{{- .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "openim-bridge.name" .) | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "openim-bridge.selector" -}}
app.kubernetes.io/name: {{ include "openim-bridge.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* Of every object. The chart's own win over commonLabels, since selectors rely on them. */}}
{{- define "openim-bridge.labels" -}}
{{- $own := include "openim-bridge.selector" . | fromYaml }}
{{- $_ := set $own "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_") }}
{{- $_ := set $own "app.kubernetes.io/version" .Chart.AppVersion }}
{{- $_ := set $own "app.kubernetes.io/managed-by" .Release.Service }}
{{- toYaml (merge $own .Values.commonLabels) }}
{{- end }}

{{/* The same with further ones, given as a list of the root and those. */}}
{{- define "openim-bridge.labelsWith" -}}
{{- toYaml (merge (include "openim-bridge.labels" (index . 0) | fromYaml) (index . 1)) }}
{{- end }}

{{/* Another name than the bridge's: its Service must not select the test's pod. */}}
{{- define "openim-bridge.testSelector" -}}
app.kubernetes.io/name: {{ include "openim-bridge.name" . | trunc 58 }}-test
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "openim-bridge.image" -}}
{{- $repository := required "set image.repository to where you pushed the image, such as registry.example.com/openim-bridge: deploy/README.md, \"The image\"" .Values.image.repository }}
{{- if .Values.image.digest }}
{{- printf "%s@%s" $repository .Values.image.digest }}
{{- else }}
{{- printf "%s:%s" $repository (default .Chart.AppVersion .Values.image.tag) }}
{{- end }}
{{- end }}

{{- define "openim-bridge.serviceAccountName" -}}
{{- default (ternary (include "openim-bridge.fullname" .) "default" .Values.serviceAccount.create) .Values.serviceAccount.name }}
{{- end }}

{{/* What changes whenever a setting does that the bridge takes up at a restart only, and by nothing else: restart.json has
them with their defaults, from the bridge's own list. */}}
{{- define "openim-bridge.restart" -}}
{{- $config := include "openim-bridge.config" . | fromYaml }}
{{- $settings := dict }}
{{- range $key, $default := .Files.Get "restart.json" | fromJson }}
{{- $value := $config }}
{{- range splitList "." $key }}
{{- $value = index (ternary $value dict (kindIs "map" $value)) . }}
{{- end }}
{{- if kindIs "invalid" $value }}
{{- $value = $default }}
{{- end }}
{{- $_ := set $settings $key $value }}
{{- end }}
{{- toJson $settings | sha256sum }}
{{- end }}

{{/* The admin port stays out of a mesh, of Istio or Linkerd; podAnnotations win. They mean nothing without a mesh. */}}
{{- define "openim-bridge.podAnnotations" -}}
{{- $port := include "openim-bridge.port" .Values.config.admin.listen }}
{{- $own := dict "traffic.sidecar.istio.io/excludeInboundPorts" $port "config.linkerd.io/skip-inbound-ports" $port }}
{{- toYaml (merge (dict "checksum/restart" (include "openim-bridge.restart" .)) .Values.podAnnotations $own) }}
{{- end }}

{{/* The port of an address such as 0.0.0.0:10006 or [::]:10006. */}}
{{- define "openim-bridge.port" -}}
{{- regexFind "[0-9]+$" . }}
{{- end }}

{{/* The milliseconds of a duration such as 500ms, 4s or 1m 30s. */}}
{{- define "openim-bridge.milliseconds" -}}
{{- $unit := dict "ms" 1 "s" 1000 "m" 60000 "min" 60000 "h" 3600000 }}
{{- $sum := 0 }}
{{- if not (regexMatch "^([0-9]+ ?(ms|s|min|m|h) ?)+$" .) }}
{{- fail (printf "%q is not a duration such as 500ms, 4s or 1m 30s" .) }}
{{- end }}
{{- range regexFindAll "[0-9]+ ?(ms|s|min|m|h)" . -1 }}
{{- $sum = add $sum (mul (regexFind "[0-9]+" . | int64) (get $unit (regexFind "[a-z]+" .))) }}
{{- end }}
{{- $sum }}
{{- end }}

{{/* The configuration file: .Values.config, and where the mounted secrets are. */}}
{{- define "openim-bridge.config" -}}
{{- $config := deepCopy .Values.config }}
{{- if .Values.tls.secretName }}
{{- $_ := set $config "tls" (dict "cert" "/etc/openim-bridge-tls/tls.crt" "key" "/etc/openim-bridge-tls/tls.key") }}
{{- end }}
{{- $tls := dict }}
{{- if .Values.upstreamTls.caSecretName }}
{{- $_ := set $tls "ca" "/etc/openim-bridge-upstream-ca/ca.crt" }}
{{- end }}
{{- if .Values.upstreamTls.clientSecretName }}
{{- $_ := set $tls "cert" "/etc/openim-bridge-upstream-client/tls.crt" }}
{{- $_ := set $tls "key" "/etc/openim-bridge-upstream-client/tls.key" }}
{{- end }}
{{- if $tls }}
{{- $upstream := default dict $config.upstream }}
{{- $_ := set $upstream "tls" (merge $tls (default dict $upstream.tls)) }}
{{- $_ := set $config "upstream" $upstream }}
{{- end }}
{{- if .Values.basicAuth.secretName }}
{{- $_ := set $config "access" (merge (dict "basic_auth_file" "/etc/openim-bridge-users/users") (default dict $config.access)) }}
{{- end }}
{{- toYaml $config }}
{{- end }}

{{/* Fails where the pods would be killed before they have drained. */}}
{{- define "openim-bridge.checkTimes" -}}
{{- $drain := default dict .Values.config.drain }}
{{- $delay := include "openim-bridge.milliseconds" (default "5s" $drain.delay) | int64 }}
{{- $timeout := include "openim-bridge.milliseconds" (default "25s" $drain.timeout) | int64 }}
{{- $decision := include "openim-bridge.milliseconds" (default "4s" (default dict .Values.config.decision).timeout) | int64 }}
{{- $grace := mul .Values.terminationGracePeriodSeconds 1000 }}
{{- if lt $timeout (add $delay $decision 1000) }}
{{- fail (printf "config.drain.timeout (%d ms) must be at least config.drain.delay (%d ms) + config.decision.timeout (%d ms) + 1 s: what is accepted in the last moment would not be answered" $timeout $delay $decision) }}
{{- end }}
{{- if lt $grace (add $timeout 3000) }}
{{- fail (printf "terminationGracePeriodSeconds (%d) must be at least 3 s above config.drain.timeout (%d ms): the pods would be killed while they drain" (int64 .Values.terminationGracePeriodSeconds) $timeout) }}
{{- end }}
{{- end }}
