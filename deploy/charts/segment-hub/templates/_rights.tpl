{{/*
What the hub may do, all of it. No value changes it. A verb that the hub does not use is a fault, as is one that it lacks: both show
in the API server's audit log.
*/}}

{{/* In the whole cluster. */}}
{{- define "segment-hub.rights.cluster" -}}
# get: the live read before an order to remove. patch: the finalizer.
- apiGroups: [segment.grnry.io]
  resources: [segments]
  verbs: [get, list, watch, patch]
- apiGroups: [segment.grnry.io]
  resources: [segments/status]
  verbs: [patch]
# create: `segctl cluster join`, on behalf of a user who may create clusters.
- apiGroups: [segment.grnry.io]
  resources: [clusters]
  verbs: [get, list, watch, create]
- apiGroups: [segment.grnry.io]
  resources: [clusters/status]
  verbs: [patch]
# The revisions of a Segment, in its namespace, as a StatefulSet has them.
- apiGroups: [apps]
  resources: [controllerrevisions]
  verbs: [list, create, delete]
# What users did to a Segment, as `kubectl describe` shows it. patch: a repeat is counted.
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
# Who a user is, and whether Kubernetes lets them see what they ask for.
- apiGroups: [authentication.k8s.io]
  resources: [tokenreviews]
  verbs: [create]
- apiGroups: [authorization.k8s.io]
  resources: [subjectaccessreviews]
  verbs: [create]
{{- end -}}

{{/* In its own namespace. Secrets and the Lease are made empty by this chart, so that a right by name is enough. */}}
{{- define "segment-hub.rights.own" -}}
- apiGroups: [""]
  resources: [secrets]
  resourceNames:
    {{- include "segment-hub.secretNames" . | nindent 4 }}
  verbs: [get, update]
# What is owed to clusters that are away: one ConfigMap for each deleted Segment.
- apiGroups: [""]
  resources: [configmaps]
  verbs: [list, create, update, delete]
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  resourceNames: [segment-hub]
  verbs: [get, update]
{{- end -}}

{{/* In kube-public: where the hub is, readable by whoever is logged in. */}}
{{- define "segment-hub.rights.public" -}}
- apiGroups: [""]
  resources: [configmaps]
  resourceNames: [segment-hub]
  verbs: [get, update]
{{- end -}}

{{- define "segment-hub.secretNames" -}}
- segment-hub-identity
- segment-hub-ca-root
- segment-hub-ca-intermediate
- segment-hub-enrolment
{{- end -}}
