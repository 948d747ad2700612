{{- define "tidemill.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains "tidemill" .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-tidemill" .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "tidemill.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "tidemill.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- required "serviceAccount.create is false: name the one to use in serviceAccount.name" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "tidemill.user" -}}
system:serviceaccount:{{ .Release.Namespace }}:{{ include "tidemill.serviceAccount" . }}
{{- end -}}

{{/* What selects the pods of one component: (dict "root" $ "component" "controller"). */}}
{{- define "tidemill.selector" -}}
app.kubernetes.io/name: tidemill
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{/* The labels of one component; app.kubernetes.io/managed-by is Helm's, so what the operator makes is told apart by it. */}}
{{- define "tidemill.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{ include "tidemill.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: tidemill
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* An image's full name: (dict "root" $ "image" .Values.images.controller). */}}
{{- define "tidemill.image" -}}
{{- with .root.Values.images.registry }}{{ trimSuffix "/" . }}/{{ end -}}
{{- .image.repository -}}
{{- if .image.digest }}@{{ .image.digest }}{{ else }}:{{ .image.tag | default .root.Chart.AppVersion }}{{ end -}}
{{- end -}}

{{- define "tidemill.workloadNamespaces" -}}
{{- .Values.workloadNamespaces | uniq | toJson -}}
{{- end -}}

{{/* Where the admission policies of this release hold: in the namespaces that it watches, so that releases do not lock each other out. */}}
{{- define "tidemill.policyNamespaces" -}}
{{- with .Values.namespaces -}}
namespaceSelector:
  matchExpressions:
    - {key: kubernetes.io/metadata.name, operator: In, values: {{ toJson . }}}
{{- else -}}
namespaceSelector: {}
{{- end -}}
{{- end -}}

{{- define "tidemill.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{- define "tidemill.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{/* The container that measures the object store and deletes data of deleted objects. */}}
{{- define "tidemill.sweeper" -}}
{{- $sweeper := .root.Values.store.sweeper -}}
- name: sweeper
  image: {{ include "tidemill.image" (dict "root" .root "image" .root.Values.images.workload) }}
  imagePullPolicy: {{ .root.Values.images.pullPolicy }}
  args:
    - sweep
    - --operator=http://{{ include "tidemill.fullname" .root }}-metrics.{{ .root.Release.Namespace }}.svc.{{ .root.Values.clusterDomain }}:9090
    - --release={{ .root.Release.Namespace }}/{{ .root.Release.Name }}
    - --grace={{ $sweeper.deletedObjects }}
    {{- if .volume }}
    # No other release has the key of this store.
    - --only-user
    - --volume=/data
    {{- end }}
    - --port=7071
  ports:
    - {name: sweeper, containerPort: 7071, protocol: TCP}
  resources: {{- toYaml $sweeper.resources | nindent 4 }}
  securityContext: {{- include "tidemill.containerSecurity" .root | nindent 4 }}
  volumeMounts:
    {{- if .volume }}
    - {name: data, mountPath: /data, readOnly: true}
    {{- end }}
    - {name: credentials, mountPath: /tidemill/store, readOnly: true}
    - {name: scratch, mountPath: /tmp}
{{- end -}}
