{{/* The hub's object names are fixed: the program and its users find them by name. */}}
{{- define "segment-hub.selectorLabels" -}}
app.kubernetes.io/name: segment-hub
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* Labels that no upgrade changes, for objects that the hub writes: a change from outside costs it a conflict. */}}
{{- define "segment-hub.keptLabels" -}}
{{ include "segment-hub.selectorLabels" . }}
app.kubernetes.io/component: hub
app.kubernetes.io/part-of: granary
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- define "segment-hub.labels" -}}
{{ include "segment-hub.keptLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "segment-hub.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{- define "segment-hub.agentsAddress" -}}
{{ .Values.hub.addresses.agents | default (printf "segment-hub-agents.%s.svc:8443" .Release.Namespace) }}
{{- end -}}

{{- define "segment-hub.usersAddress" -}}
{{ .Values.hub.addresses.users | default (printf "segment-hub-users.%s.svc:9443" .Release.Namespace) }}
{{- end -}}

{{/*
A house default as the hub is to see it: a boolean as True or False (the script's words), a whole number without an exponent, and
every `$` doubled, or the kubelet would expand a `$(NAME)` that is meant for the segment's own container.
*/}}
{{- define "segment-hub.default" -}}
{{- if kindIs "bool" . -}}{{ ternary "True" "False" . | quote }}
{{- else if kindIs "string" . -}}{{ . | replace "$" "$$" | quote }}
{{- else -}}{{ . | int64 | toString | quote }}
{{- end -}}
{{- end -}}

{{/* Name of the Secret with the webhook's tls.crt and tls.key. */}}
{{- define "segment-hub.webhookSecret" -}}
{{ .Values.webhook.existingSecret | default "segment-hub-webhook-tls" }}
{{- end -}}

{{/* The host by which the API server calls the webhook. */}}
{{- define "segment-hub.webhookHost" -}}
{{- if .Values.webhook.url -}}
{{ (urlParse .Values.webhook.url).hostname | trimPrefix "[" | trimSuffix "]" }}
{{- else -}}
{{ printf "segment-hub-webhook.%s.svc" .Release.Namespace }}
{{- end -}}
{{- end -}}

{{/*
The webhook's certificate as this chart makes it, as JSON {cert, key, ca}, base64: the one that stands in the cluster, as long as it
is for the host that is called; else a new one.
*/}}
{{- define "segment-hub.webhookCertificate" -}}
{{- $host := include "segment-hub.webhookHost" . -}}
{{- $secret := lookup "v1" "Secret" .Release.Namespace "segment-hub-webhook-tls" | default dict -}}
{{- $annotations := dig "metadata" "annotations" (dict) $secret | default dict -}}
{{- $data := get $secret "data" | default dict -}}
{{- if and (eq (get $annotations "segment.grnry.io/host" | default "") $host) (hasKey $data "ca.crt") (hasKey $data "tls.crt") (hasKey $data "tls.key") -}}
{{- dict "cert" (get $data "tls.crt") "key" (get $data "tls.key") "ca" (get $data "ca.crt") | toJson -}}
{{- else -}}
{{- $isAddress := or (contains ":" $host) (regexMatch "^[0-9.]+$" $host) -}}
{{- $ca := genCAWithKey "segment-hub-webhook-ca" 3650 (genPrivateKey "ecdsa") -}}
{{- $leaf := genSignedCertWithKey "segment-hub-webhook" (ternary (list $host) (list) $isAddress) (ternary (list) (list $host) $isAddress) 3650 $ca (genPrivateKey "ecdsa") -}}
{{- dict "cert" ($leaf.Cert | b64enc) "key" ($leaf.Key | b64enc) "ca" ($ca.Cert | b64enc) | toJson -}}
{{- end -}}
{{- end -}}
