"""What a file among the manifests is that is none: templates, values of charts, and what other tools read.

Nothing is concluded from it but what the error says: such a file is refused in any case.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, LiteralString

from agent.values.errors import ManifestError, UnsupportedManifestError, YamlError
from agent.values.tree import get, get_text

if TYPE_CHECKING:
    from agent.values.errors import AgentError
    from agent.values.errors.root import Fact
    from agent.values.tree import Object, Tree

_EXCLUDE: LiteralString = "leave the file out with spec.source.exclude"
_RENDERED: LiteralString = (
    "commit the output of the tool that renders it, or leave the file out with spec.source.exclude"
)
HINT: LiteralString = (
    "a manifest has apiVersion, kind and metadata.name; leave other files out with spec.source.exclude"
)

_HELM = re.compile(
    rb"\{\{(?:[^}\n]{0,200}?\.(?:Values|Release|Chart|Capabilities|Files|Template)\b"
    rb"|-?[ \t]*(?:(?:include|template|define|tpl|toYaml)\b|/\*))"
)
_TEMPLATE = re.compile(rb"\{\{|\{%(?:(?!\{%)[^\n])*?%\}|<%(?:(?!<%)[^\n])*?%>")
_VALUES = re.compile(r"(?:.*[._-])?values(?:[._-].*)?\.(?:ya?ml|json)", re.IGNORECASE)
_KINDS: tuple[tuple[LiteralString, frozenset[str], frozenset[str]], ...] = (
    ("this looks like a Grafana dashboard, not a manifest", frozenset({"panels"}), frozenset()),
    ("this looks like a GitHub workflow, not a manifest", frozenset({"jobs"}), frozenset({"on", "true"})),
    ("this looks like a Compose file, not a manifest", frozenset({"services"}), frozenset()),
    ("this looks like a JSON schema, not a manifest", frozenset({"$schema"}), frozenset({"properties", "$ref", "type"})),
)  # fmt: skip
"""What it looks like, keys that it has all of, and keys that it has one of."""


def unreadable(error: AgentError, data: bytes, *, file: str) -> AgentError:
    """What to say of a file that is no YAML: that it is a template, where it is one."""
    if not isinstance(error, YamlError):
        return error
    found = _TEMPLATE.search(data)
    if found is None:
        return error
    return _template(data, file, file=file, line=data.count(b"\n", 0, found.start()) + 1) or error


def templated(tree: Object, *, file: str) -> ManifestError | None:
    """What to say of a manifest whose identity a template gives, in quotes and so read as text."""
    for path in (("apiVersion",), ("kind",), ("metadata", "name"), ("metadata", "namespace")):
        found = _template(get_text(tree, *path).encode("utf-8", "replace"), file, field=".".join(path))
        if found is not None:
            return found
    return None


def foreign(tree: Tree, *, file: str) -> ManifestError | None:
    """What to say of a document that is not a manifest at all; None where it has anything of one."""
    if not isinstance(tree, dict):
        items = tree if isinstance(tree, list) else []
        if items and all(isinstance(get(item, "op"), str) and isinstance(get(item, "path"), str) for item in items):
            return UnsupportedManifestError("this looks like a JSON patch, which is not applied", hint=_EXCLUDE)
        return ManifestError("document is not a map", hint=HINT)
    missing = [field for field in ("apiVersion", "kind") if tree.get(field) is None]
    if missing and _VALUES.fullmatch(file.rpartition("/")[2]):
        return ManifestError(
            "this looks like the values of a Helm chart, not a manifest", hint=_EXCLUDE, field=missing[0]
        )
    if len(missing) < 2:
        return None
    for message, all_of, any_of in _KINDS:
        if all_of <= tree.keys() and (not any_of or any_of & tree.keys()):
            return ManifestError(message, hint=_EXCLUDE, field=missing[0])
    return ManifestError("document has neither apiVersion nor kind", hint=HINT, field=missing[0])


def _template(data: bytes, path: str, **facts: Fact) -> UnsupportedManifestError | None:
    if _TEMPLATE.search(data) is None:
        return None
    if _HELM.search(data) is not None or "/templates/" in f"/{path}":
        return UnsupportedManifestError(
            "this looks like a Helm template, which is not rendered", hint=_RENDERED, **facts
        )
    return UnsupportedManifestError("this looks like a template, which is not rendered", hint=_RENDERED, **facts)
