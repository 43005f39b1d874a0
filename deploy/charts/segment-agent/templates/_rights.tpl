{{/*
What the agent may do, all of it: no cluster-wide right, and no Secret but its own identity. No value changes it, but for the list of
namespaces and the policy's rules runNow and logs. A verb that the agent does not use is a fault, as is one that it lacks: both show in the API server's audit log.
*/}}

{{/* In each of `policy.namespaces`. */}}
{{- define "segment-agent.rights.namespace" -}}
- apiGroups: [batch]
  resources: [cronjobs]
  verbs: [get, list, watch, create, update, delete]
# status.lastScheduleTime, before a change of schedule: or the change would start a run that is past.
- apiGroups: [batch]
  resources: [cronjobs/status]
  verbs: [update]
- apiGroups: [batch]
  resources: [jobs]
  verbs: [list, watch]
{{- if .Values.policy.rules.runNow }}
# Runs that the hub orders, as the policy says it may.
- apiGroups: [batch]
  resources: [jobs]
  verbs: [create]
{{- end }}
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch]
{{- if .Values.policy.rules.logs }}
# What runs wrote, as the policy says that the hub may read it.
- apiGroups: [""]
  resources: [pods/log]
  verbs: [get]
{{- end }}
{{- end -}}

{{/* In its own namespace, by name. All of these are made by this chart, so that `create` is not needed. */}}
{{- define "segment-agent.rights.own" -}}
- apiGroups: [""]
  resources: [configmaps]
  resourceNames: [segment-agent-policy]
  verbs: [get, list, watch]
- apiGroups: [""]
  resources: [configmaps]
  resourceNames:
    {{- include "segment-agent.storeNames" . | nindent 4 }}
  verbs: [get, update]
- apiGroups: [""]
  resources: [secrets]
  resourceNames: [segment-agent-identity]
  verbs: [get, update]
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  resourceNames: [segment-agent]
  verbs: [get, update]
{{- end -}}

{{/* In kube-system: the uid of that namespace names the cluster. */}}
{{- define "segment-agent.rights.uid" -}}
- apiGroups: [""]
  resources: [namespaces]
  resourceNames: [kube-system]
  verbs: [get]
{{- end -}}
