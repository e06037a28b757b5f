"""Files among the manifests that are none: the error says what they look like, and how to leave them out."""

import pytest
from written import parsed

from agent.values.errors import LimitError, ManifestError, UnsupportedManifestError, YamlError

HEAD = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"


def failure(path, text):
    found = parsed({path: text})
    errors = [each.error for each in (*found.failures, *found.documents)]
    assert len(errors) == 1
    return errors[0]


@pytest.mark.parametrize(
    ("path", "text", "kind", "line"),
    [
        ("templates/web.yaml", 'metadata:\n  name: {{ include "web.name" . }}\n', "a Helm template", 2),
        ("web.yaml", 'metadata:\n  name: {{ include "web.name" . }}\n', "a Helm template", 2),
        ("web.yaml", "{{- if .Values.web }}\na: b\n{{- end }}\n", "a Helm template", 1),
        ("web.yaml", "a: b\n{{/* note */}}\n", "a Helm template", 2),
        ("web.json", '{"a": {{ .Values.a | toJson }}}', "a Helm template", 1),
        ("web.yaml", 'apiVersion: v1\nkind: Pod\nmetadata: {name: "{{ .Release.Name }}-web"}\n', "a Helm template", 1),
        ("chart/templates/x.yaml", "a: {{ name }}\n", "a Helm template", 1),
        ("web.yaml", "a: {{ name }}\n", "a template", 1),
        ("web.yaml.yml", "{% for a in b %}\n- c\n{% endfor %}\n", "a template", 1),
        ("web.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {name: '{{ name }}'}\n", "a template", 1),
    ],
)
def test_a_template_is_called_one(path, text, kind, line):
    error = failure(path, text)
    assert type(error) is UnsupportedManifestError
    assert error.message == f"this looks like {kind}, which is not rendered"
    assert "spec.source.exclude" in error.hint
    assert error.facts["file"] == path
    assert error.facts["line"] == line


def test_what_is_beyond_a_limit_is_no_template():
    assert type(failure("a.yaml", f"a: {'[' * 5000}{{{{ x }}}}{']' * 5000}\n")) is LimitError


@pytest.mark.parametrize(
    ("path", "text", "kind"),
    [
        ("values.yaml", "image: {tag: latest}\n", "the values of a Helm chart"),
        ("web/values-prod.yml", "image: {tag: latest}\n", "the values of a Helm chart"),
        ("web-values.yaml", "kind: DaemonSet\nimage: {tag: latest}\n", "the values of a Helm chart"),
        ("a/prod.values.yaml", "image: {tag: latest}\n", "the values of a Helm chart"),
        ("board.json", '{"title": "web", "panels": []}', "a Grafana dashboard"),
        ("ci.yaml", "on: [push]\njobs: {}\n", "a GitHub workflow"),
        ("compose.yaml", "services: {web: {image: web}}\n", "a Compose file"),
        ("web.schema.json", '{"$schema": "https://json-schema.org/x", "type": "object"}', "a JSON schema"),
    ],
)
def test_what_is_of_another_tool_is_called_so(path, text, kind):
    error = failure(path, text)
    assert type(error) is ManifestError
    assert error.message == f"this looks like {kind}, not a manifest"
    assert error.hint == "leave the file out with spec.source.exclude"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: b\n", "document has neither apiVersion nor kind"),
        ("kind: Pod\n", "manifest lacks a field"),
        ("apiVersion: v1\n", "manifest lacks a field"),
        ("- a\n", "document is not a map"),
    ],
)
def test_what_looks_like_nothing_is_named_by_what_it_lacks(text, message):
    error = failure("a.yaml", text)
    assert error.message == message
    assert "spec.source.exclude" in error.hint


def test_a_patch_of_kustomize_is_called_one():
    error = failure("patch.yaml", "- op: replace\n  path: /spec/replicas\n  value: 1\n")
    assert error.message == "this looks like a JSON patch, which is not applied"
    error = failure("a.yaml", "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\n")
    assert error.message == "a file of kustomize is in a layer, where manifests are"


def test_templates_inside_values_of_a_manifest_are_text():
    (document,) = parsed(
        {"a.yaml": HEAD + "data: {rule: 'of {{ $labels.pod }}', other: '{{ .Values.x }}'}\n"}
    ).documents
    assert document.error is None


def test_a_broken_manifest_is_no_template():
    assert type(failure("a.yaml", HEAD + "data: {a: b\n")) is YamlError
