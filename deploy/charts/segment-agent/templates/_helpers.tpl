{{/* The agent's object names are fixed: the program finds them by name. */}}
{{- define "segment-agent.selectorLabels" -}}
app.kubernetes.io/name: segment-agent
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* Labels that no upgrade changes, for objects that the agent writes: a change from outside costs it a conflict, and a restart. */}}
{{- define "segment-agent.keptLabels" -}}
{{ include "segment-agent.selectorLabels" . }}
app.kubernetes.io/component: agent
app.kubernetes.io/part-of: granary
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- define "segment-agent.labels" -}}
{{ include "segment-agent.keptLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "segment-agent.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{/* The Secret of the join token, or nothing. */}}
{{- define "segment-agent.joinSecret" -}}
{{- if .Values.join.existingSecret -}}
{{ .Values.join.existingSecret }}
{{- else if .Values.join.token -}}
segment-agent-join
{{- end -}}
{{- end -}}

{{/* The join token with the fingerprint of the hub's root as its third part. */}}
{{- define "segment-agent.joinToken" -}}
{{- $pin := printf ".%s" .Values.hub.caPin -}}
{{ .Values.join.token }}
{{- if and .Values.hub.caPin (not (hasSuffix $pin .Values.join.token)) }}{{ $pin }}{{ end -}}
{{- end -}}

{{/* ConfigMaps of the store: the fence and the brake's window, then eight shards of entries and eight of the ledger. */}}
{{- define "segment-agent.storeNames" -}}
- segment-agent-state
{{- range $kind := list "entries" "ledger" }}
{{- range $shard := until 8 }}
- segment-agent-{{ $kind }}-{{ $shard }}
{{- end }}
{{- end }}
{{- end -}}

{{/* `policy.namespaces` as a map, as JSON. */}}
{{- define "segment-agent.namespaces" -}}
{{- $map := dict -}}
{{- if kindIs "slice" .Values.policy.namespaces -}}
{{- range .Values.policy.namespaces }}{{ $_ := set $map . dict }}{{ end -}}
{{- else -}}
{{- range $namespace, $rule := .Values.policy.namespaces }}{{ $_ := set $map $namespace ($rule | default dict) }}{{ end -}}
{{- end -}}
{{- toJson $map -}}
{{- end -}}

{{/* Namespaces where a CronJob could use the agent's own account or Secrets, or the control plane's. */}}
{{- define "segment-agent.checkNamespaces" -}}
{{- range $namespace, $_ := include "segment-agent.namespaces" . | fromJson }}
{{- if has $namespace (list $.Release.Namespace "kube-system" "kube-public" "kube-node-lease") }}
{{- fail (printf "policy.namespaces: %s cannot be one of them: a CronJob there could use the service account or the Secrets of the agent or of the control plane" $namespace) }}
{{- end }}
{{- end }}
{{- end -}}
