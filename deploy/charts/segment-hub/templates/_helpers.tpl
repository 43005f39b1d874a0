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
