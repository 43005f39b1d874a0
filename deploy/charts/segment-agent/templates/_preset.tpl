{{/*
What Granary's segment table creation needs where its chart's values are left as they are. "*" stands for each of `policy.namespaces`.
*/}}
{{- define "segment-agent.preset.granary" -}}
images:
  "*": ["gitlab.alvary.io:5000/grnry/segment-table-creation"]
pullSecrets:
  "*": [grnry-base-private-registry-token]
secrets:
  "*":
    DB_USER: grnry-pg-citus-secret/superuser-username
    DB_NAME: grnry-pg-citus-secret/superuser-database
    DB_PASSWORD: grnry-pg-citus-secret/superuser-password
dbHosts:
  "*": [grnry-pg-citus]
{{- end -}}
