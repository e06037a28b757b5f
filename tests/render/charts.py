"""Charts written for the tests with the constructs of well-known ones, a row each: files by path below the chart's folder, and values.

`SECRET` and its like stand in the values for what is sealed: plain Helm gets text there, and the renderer what stands for it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Secret:
    """A sealed leaf of the values."""

    name: str = "a"


Value: TypeAlias = str | int | bool | Secret | dict[str, "Value"] | list["Value"]

SECRET = Secret()
OTHER = Secret("b")


@dataclass(frozen=True, slots=True)
class Row:
    files: dict[str, str]
    values: dict[str, Value] = field(default_factory=lambda: {"auth": {"password": SECRET}})


def chart(**templates: str) -> dict[str, str]:
    """A chart with these templates. One whose name begins with `_` has definitions for the others."""
    named = {f"templates/{name}{'.tpl' if name.startswith('_') else '.yaml'}": text for name, text in templates.items()}
    return {"Chart.yaml": "apiVersion: v2\nname: shop\nversion: 1.2.3\nappVersion: '4.5'\n", **named}


NAMES = """\
{{- define "shop.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- define "shop.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- $name := include "shop.name" . -}}
{{- if contains $name .Release.Name -}}{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- define "shop.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
app.kubernetes.io/name: {{ include "shop.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}
"""
SECRETS = """\
apiVersion: v1
kind: Secret
metadata:
  name: {{ include "shop.fullname" . }}
  labels: {{- include "shop.labels" . | nindent 4 }}
type: Opaque
"""
WORKLOAD = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include "shop.fullname" . }}
  labels: {{- include "shop.labels" . | nindent 4 }}
spec:
  replicas: {{ .Values.replicas | default 1 }}
  selector:
    matchLabels: {app: {{ include "shop.name" . }}}
  template:
    metadata:
      labels: {app: {{ include "shop.name" . }}}
      annotations:
        checksum/secret: {{ include (print $.Template.BasePath "/secret.yaml") . | sha256sum }}
    spec:
      containers:
      - name: web
        image: "example.com/web:{{ .Values.tag | default .Chart.AppVersion }}"
"""

CHARTS: dict[str, Row] = {
    "passwords that are derived": Row(
        chart(
            _names=NAMES,
            secret=SECRETS
            + """\
stringData:
{{- range $kind := list "maximum" "pin" "odd" }}
  {{ $kind }}: {{ derivePassword 1 $kind $.Values.auth.password "ann" "example.com" | quote }}
{{- end }}
  next: {{ derivePassword 4294967295 "long" .Values.auth.password "ü" "" | quote }}
  user: {{ derivePassword 2 "long" "clear" .Values.auth.password .Values.other | quote }}
""",
        ),
        {"auth": {"password": SECRET}, "other": OTHER},
    ),
    "base64 in data, and a checksum": Row(
        chart(
            _names=NAMES,
            secret=SECRETS + "data:\n  password: {{ .Values.auth.password | b64enc | quote }}\n",
            deployment=WORKLOAD,
        )
    ),
    "quotes in stringData": Row(
        chart(_names=NAMES, secret=SECRETS + "stringData:\n  password: {{ .Values.auth.password | quote }}\n")
    ),
    "a password or a default": Row(
        chart(
            _names=NAMES,
            secret=SECRETS
            + """\
data:
  {{- if .Values.auth.password }}
  password: {{ .Values.auth.password | toString | b64enc }}
  {{- else }}
  password: {{ "none" | b64enc }}
  {{- end }}
  root: {{ default "root" .Values.auth.rootPassword | b64enc }}
  same: {{ coalesce .Values.auth.none .Values.auth.password | b64enc | quote }}
  {{- with .Values.auth.password }}
  with: {{ . | b64enc }}
  {{- end }}
""",
        )
    ),
    "a URL that is put together": Row(
        chart(
            _names=NAMES,
            secret=SECRETS
            + """\
stringData:
  url: {{ printf "postgres://%s:%s@%s:%d/%s" .Values.auth.user (.Values.auth.password | urlquery) .Values.host (int .Values.port) "shop" | quote }}
  dsn: {{ printf "host=%s user=%s password=%s" .Values.host .Values.auth.user .Values.auth.password | quote }}
""",
        ),
        {"auth": {"user": "app", "password": SECRET}, "host": "db", "port": 5432},
    ),
    "a configuration file in a Secret": Row(
        chart(
            _names=NAMES
            + """\
{{- define "shop.config" -}}
server:
  port: 8080
database:
  user: {{ .Values.auth.user | quote }}
  password: {{ .Values.auth.password | quote }}
{{- end -}}
""",
            secret=SECRETS
            + """\
stringData:
  config.yaml: |
    {{- include "shop.config" . | nindent 4 }}
data:
  encoded.yaml: {{ include "shop.config" . | b64enc }}
""",
        ),
        {"auth": {"user": "app", "password": SECRET}},
    ),
    "values as YAML and JSON": Row(
        chart(
            _names=NAMES,
            secret=SECRETS
            + """\
stringData:
  {{- with .Values.extra }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
  all.json: {{ .Values.auth | toJson | quote }}
  pretty.json: |
    {{- .Values.auth | toPrettyJson | nindent 4 }}
  raw.json: {{ .Values.auth | toRawJson | squote }}
""",
        ),
        {
            "auth": {"user": "app", "password": OTHER, "nested": [{"token": OTHER}]},
            "extra": {"key": SECRET, "clear": "x"},
        },
    ),
    "a certificate in blocks": Row(
        chart(
            _names=NAMES,
            secret=SECRETS
            + """\
stringData:
  block: |
    {{- .Values.auth.password | nindent 4 }}
  stripped: |-
{{ .Values.auth.password | indent 4 }}
data:
  encoded: {{ .Values.auth.password | b64enc }}
""",
        )
    ),
    "ranges over users": Row(
        chart(
            _names=NAMES,
            secret=SECRETS
            + """\
stringData:
  {{- range $name, $user := .Values.users }}
  {{ $name }}: {{ $user.password | quote }}
  {{- end }}
  {{- range $index, $each := .Values.list }}
  {{ printf "item-%d" $index }}: {{ $each | quote }}
  {{- end }}
""",
        ),
        {"users": {"ada": {"password": SECRET}, "bob": {"password": OTHER}}, "list": [SECRET, "clear", OTHER]},
    ),
    "text that is a template": Row(
        chart(
            _names=NAMES
            + """\
{{- define "shop.render" -}}
{{- $value := typeIs "string" .value | ternary .value (.value | toYaml) -}}
{{- if contains "{{" (toJson .value) -}}{{- tpl $value .context -}}{{- else -}}{{- $value -}}{{- end -}}
{{- end -}}
""",
            secret=SECRETS
            + """\
stringData:
  {{- range $key, $value := .Values.extraSecrets }}
  {{ $key }}: {{ include "shop.render" (dict "value" $value "context" $) | quote }}
  {{- end }}
  tpl: {{ tpl .Values.template . | quote }}
""",
        ),
        {
            "auth": {"password": SECRET},
            "extraSecrets": {"clear": "{{ .Release.Name }}", "password": "{{ .Values.auth.password }}"},
            "template": "user:{{ .Values.auth.password }}@{{ .Release.Name }}",
        },
    ),
    "environment from values": Row(
        chart(
            _names=NAMES,
            deployment=WORKLOAD.replace(
                'checksum/secret: {{ include (print $.Template.BasePath "/secret.yaml") . | sha256sum }}', "a: b"
            )
            + """\
        env:
        - {name: PASSWORD, value: {{ .Values.auth.password | quote }}}
        {{- range .Values.env }}
        - name: {{ .name }}
          value: {{ .value | quote }}
        {{- end }}
        args: ["--password", {{ .Values.auth.password | quote }}]
""",
        ),
        {"auth": {"password": SECRET}, "env": [{"name": "TOKEN", "value": OTHER}, {"name": "DEBUG", "value": "1"}]},
    ),
    "a dependency with global values": Row(
        {
            **chart(_names=NAMES, secret=SECRETS + "stringData: {own: {{ .Values.global.token | quote }}}\n"),
            "Chart.yaml": "apiVersion: v2\nname: shop\nversion: 1.2.3\ndependencies:\n"
            "- {name: cache, version: 1.0.0, condition: cache.enabled}\n- {name: off, version: 1.0.0, condition: off.enabled}\n",
            "charts/cache/Chart.yaml": "apiVersion: v2\nname: cache\nversion: 1.0.0\n",
            "charts/cache/values.yaml": "auth: {password: ''}\nport: 6379\n",
            "charts/cache/templates/secret.yaml": """\
apiVersion: v1
kind: Secret
metadata: {name: {{ .Release.Name }}-cache}
stringData:
  password: {{ required "set auth.password" .Values.auth.password | quote }}
  token: {{ .Values.global.token | quote }}
  port: {{ .Values.port | quote }}
""",
            "charts/off/Chart.yaml": "apiVersion: v2\nname: off\nversion: 1.0.0\n",
            "charts/off/templates/x.yaml": "{{ fail .Values.global.token }}",
        },
        {"cache": {"auth": {"password": SECRET}}, "global": {"token": OTHER}, "off": {"enabled": False}},
    ),
    "digests where a secret may stand": Row(
        chart(
            _names=NAMES,
            secret=SECRETS
            + """\
stringData:
  acl: {{ printf "user default on #%s ~* +@all" (sha256sum .Values.auth.password) | quote }}
  upper: {{ .Values.auth.password | sha1sum | upper | trunc 8 | quote }}
  sha512: {{ sha512sum .Values.auth.password }}
""",
        )
    ),
    "quotes that are taken away again": Row(
        chart(
            _names=NAMES
            + """\
{{- define "shop.password" -}}{{- .Values.auth.password | b64enc | quote -}}{{- end -}}
""",
            secret=SECRETS
            + """\
data:
  password: {{ include "shop.password" . }}
  bare: {{ include "shop.password" . | trimAll "\\"" }}
  back: {{ include "shop.password" . | trimAll "\\"" | b64dec | b64enc }}
""",
        )
    ),
    "maps that are merged": Row(
        chart(
            _names=NAMES,
            secret=SECRETS
            + """\
{{- $defaults := dict "password" "default" "user" "app" }}
{{- $merged := merge (deepCopy .Values.auth) $defaults }}
{{- $over := mergeOverwrite (dict "password" "default") .Values.auth }}
stringData:
  password: {{ $merged.password | quote }}
  user: {{ get $merged "user" | quote }}
  over: {{ index $over "password" | quote }}
  dug: {{ dig "auth" "password" "none" .Values.AsMap | quote }}
  keys: {{ keys $merged | sortAlpha | join "," | quote }}
  has: {{ hasKey .Values.auth "password" | quote }}
  first: {{ list .Values.auth.password "x" | first | quote }}
  joined: {{ list "user" .Values.auth.password | join ":" | quote }}
  picked: {{ (pick .Values.auth "password").password | quote }}
""",
        )
    ),
    "files of the chart": Row(
        {
            **chart(
                _names=NAMES,
                secret=SECRETS
                + """\
data:
{{- range $path, $_ := .Files.Glob "conf/*" }}
  {{ base $path }}: {{ $.Files.Get $path | b64enc }}
{{- end }}
stringData:
  rendered.conf: |
    {{- tpl (.Files.Get "conf/app.conf") . | nindent 4 }}
""",
                config="""\
apiVersion: v1
kind: ConfigMap
metadata: {name: files}
data: {{- (.Files.Glob "conf/*").AsConfig | nindent 2 }}
""",
            ),
            "conf/app.conf": "name = {{ .Release.Name }}\npassword = {{ .Values.auth.password | quote }}\n",
            "conf/other.conf": "a = b\n",
        }
    ),
    "what is written back from YAML": Row(
        chart(
            _names=NAMES
            + """\
{{- define "shop.settings" -}}
password: {{ .Values.auth.password | quote }}
nested: {list: [{{ .Values.auth.password | quote }}, 1, true]}
{{- end -}}
""",
            secret=SECRETS
            + """\
{{- $settings := include "shop.settings" . | fromYaml }}
{{- $json := toJson .Values.auth | fromJson }}
stringData:
  password: {{ $settings.password | quote }}
  encoded: {{ $settings.password | b64enc | quote }}
  json: {{ $json.password | quote }}
  yaml: |
    {{- $settings | toYaml | nindent 4 }}
""",
        )
    ),
    "conditions on what a value is": Row(
        chart(
            _names=NAMES,
            secret=SECRETS
            + """\
stringData:
  {{- if and .Values.auth.enabled .Values.auth.password }}
  both: {{ .Values.auth.password | quote }}
  {{- end }}
  {{- if or .Values.auth.none .Values.auth.password }}
  either: "yes"
  {{- end }}
  {{- if not (empty .Values.auth.password) }}
  filled: "yes"
  {{- end }}
  {{- if eq .Values.auth.password "change-me" }}
  default: "yes"
  {{- else if ne .Values.auth.password "other" }}
  own: "yes"
  {{- end }}
  {{- if kindIs "string" .Values.auth.password }}
  kind: {{ kindOf .Values.auth.password }}
  {{- end }}
  {{- if hasPrefix "vault:" .Values.auth.password }}
  vault: "yes"
  {{- end }}
  chosen: {{ ternary "a" "b" (not .Values.auth.password) | quote }}
""",
        ),
        {"auth": {"enabled": True, "password": SECRET}},
    ),
    "an image pull secret": Row(
        chart(
            _names=NAMES
            + """\
{{- define "shop.docker" -}}
{{- with .Values.registry -}}
{{- printf "{\\"auths\\":{%s:{\\"username\\":%s,\\"password\\":%s,\\"auth\\":\\"%s\\"}}}" (.host | quote) (.user | quote) (.password | toJson) (printf "%s:%s" .user .password | b64enc) | b64enc -}}
{{- end -}}
{{- end -}}
""",
            secret=SECRETS.replace("Opaque", "kubernetes.io/dockerconfigjson")
            + 'data:\n  .dockerconfigjson: {{ include "shop.docker" . }}\n',
        ),
        {"registry": {"host": "registry.example.com", "user": "app", "password": SECRET}},
    ),
    "several objects of one template": Row(
        chart(
            _names=NAMES,
            secret="""\
{{- range $name, $data := .Values.secrets }}
---
apiVersion: v1
kind: Secret
metadata: {name: {{ $name }}}
stringData:
  {{- range $key, $value := $data }}
  {{ $key }}: {{ $value | quote }}
  {{- end }}
{{- end }}
""",
        ),
        {"secrets": {"one": {"a": SECRET, "b": "x"}, "two": {"c": OTHER}}},
    ),
    "what the cluster serves": Row(
        chart(
            _names=NAMES,
            secret=SECRETS
            + """\
stringData:
  kube: {{ .Capabilities.KubeVersion | quote }}
  version: {{ .Capabilities.KubeVersion.Version | quote }}
  minor: {{ .Capabilities.KubeVersion.Minor | quote }}
  {{- if .Capabilities.APIVersions.Has "monitoring.coreos.com/v1" }}
  monitors: "yes"
  {{- end }}
  {{- if semverCompare ">=1.20-0" .Capabilities.KubeVersion.GitVersion }}
  new: "yes"
  {{- end }}
  {{- if lookup "v1" "Secret" .Release.Namespace "shop" }}
  there: "yes"
  {{- end }}
  password: {{ .Values.auth.password | quote }}
  chart: {{ .Chart.Name }}-{{ .Chart.AppVersion }}
  release: {{ .Release.Name }}/{{ .Release.Namespace }}/{{ .Release.IsInstall }}/{{ .Release.Revision }}
""",
        )
    ),
    "a list of templates": Row(
        chart(
            _names=NAMES,
            secret=SECRETS
            + """\
stringData:
{{- template "shop.pairs" (dict "root" . "names" (list "a" "b")) }}
{{- block "shop.more" . }}
  more: {{ .Values.auth.password | quote }}
{{- end }}
{{- $_ := set .Values.auth "added" (printf "%s!" .Values.auth.password) }}
  added: {{ .Values.auth.added | quote }}
{{- define "shop.pairs" }}
{{- range .names }}
  {{ . }}: {{ $.root.Values.auth.password | quote }}
{{- end }}
{{- end }}
""",
        )
    ),
    "cuts and cases": Row(
        chart(
            _names=NAMES,
            secret=SECRETS
            + """\
stringData:
  cut: {{ .Values.auth.password | trunc 5 | quote }}
  trimmed: {{ .Values.auth.password | trim | b64enc | quote }}
  suffix: {{ .Values.auth.password | trimSuffix "d" | b64enc | quote }}
  replaced: {{ .Values.auth.password | replace "s" "$" | b64enc | quote }}
  around: {{ printf "  <%s>  " .Values.auth.password | trim | quote }}
  printed: {{ print "a" .Values.auth.password 1 | quote }}
  cat: {{ cat "a" .Values.auth.password | quote }}
  repeated: {{ repeat 2 (printf "%s," .Values.auth.password) | quote }}
  quoted: {{ printf "%q" .Values.auth.password }}
  base32: {{ .Values.auth.password | b32enc | quote }}
  split: {{ index (splitList "///" .Values.auth.password) 0 | quote }}
""",
        )
    ),
    "a schema": Row(
        {
            **chart(_names=NAMES, secret=SECRETS + "stringData: {password: {{ .Values.auth.password | quote }}}\n"),
            "values.schema.json": '{"properties": {"auth": {"required": ["password"], "properties": '
            '{"password": {"type": "string", "minLength": 1, "maxLength": 2000}}}}}',
        }
    ),
    "custom resources and definitions": Row(
        {
            **chart(
                _names=NAMES,
                user="""\
apiVersion: example.com/v1
kind: User
metadata:
  name: {{ .Release.Name }}-{{ .Values.auth.user | sha256sum | trunc 8 }}
spec:
  password: {{ .Values.auth.password | quote }}
  hash: {{ .Values.auth.password | sha256sum | quote }}
""",
            ),
            "crds/user.yaml": "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: users.example.com}\n"
            "spec: {group: example.com, names: {kind: User, plural: users}, scope: Namespaced}\n",
        },
        {"auth": {"user": "app", "password": SECRET}},
    ),
    "an ini file with several lines": Row(
        chart(
            _names=NAMES
            + """\
{{- define "shop.ini" -}}
{{- range $section, $pairs := .Values.ini }}
[{{ $section }}]
{{- range $key, $value := $pairs }}
{{ $key }} = {{ $value }}
{{- end }}
{{- end }}
{{- end -}}
""",
            secret=SECRETS + 'stringData:\n  app.ini: |\n    {{- include "shop.ini" . | nindent 4 }}\n',
        ),
        {"ini": {"database": {"password": SECRET, "user": "app"}, "server": {"port": 80}}},
    ),
    "values that may be templates": Row(
        chart(
            _names=NAMES
            + """\
{{- define "shop.rendered" -}}
{{- $text := typeIs "string" .value | ternary .value (.value | toYaml) -}}
{{- if contains "{{" (toJson .value) }}{{ tpl $text .context }}{{ else }}{{ $text }}{{ end -}}
{{- end -}}
""",
            secret=SECRETS
            + """\
stringData:
  password: {{ include "shop.rendered" (dict "value" .Values.auth.password "context" $) | quote }}
  {{- include "shop.rendered" (dict "value" .Values.more "context" $) | nindent 2 }}
  {{- include "shop.rendered" (dict "value" .Values.named "context" $) | nindent 2 }}
""",
        ),
        {
            "auth": {"password": SECRET},
            "more": {"token": OTHER, "user": "app"},
            "named": {"name": "{{ .Release.Name }}", "again": SECRET},
        },
    ),
    "lines that are moved right within quotes": Row(
        chart(
            _names=NAMES,
            secret=SECRETS
            + """\
stringData:
  text: {{ .Values.auth.password | indent 2 | quote }}
  config: {{ printf "key: |\\n%s" (.Values.auth.password | indent 4) | quote }}
  json: {{ dict "pem" (.Values.auth.password | nindent 6) | toJson | quote }}
""",
        )
    ),
    "a certificate within a configuration": Row(
        chart(
            _names=NAMES
            + """\
{{- define "shop.tls" -}}
tls:
  key: |
    {{- .Values.auth.password | nindent 4 }}
  name: {{ .Release.Name }}
{{- end -}}
""",
            secret=SECRETS
            + """\
stringData:
  config.yaml: |
    {{- include "shop.tls" . | nindent 4 }}
data:
  encoded.yaml: {{ include "shop.tls" . | b64enc }}
""",
        )
    ),
}
