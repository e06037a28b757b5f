{{- define "signet.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ with .Values.image.digest }}@{{ . }}{{ end }}
{{- end }}

{{- define "signet.state" -}}
{{- if .Values.state.existingClaim -}}
persistentVolumeClaim:
  claimName: {{ .Values.state.existingClaim }}
{{- else -}}
emptyDir:
  sizeLimit: {{ .Values.state.sizeLimit }}
{{- end }}
{{- end }}
