"""What a webhook says: which refs of which repository moved. Nothing else of it is looked at, and no address in it is ever asked."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, cast

from agent.adapters.http import fields, registry_events
from agent.api import signatures
from agent.controllers.followers import Push

if TYPE_CHECKING:
    from collections.abc import Iterator

_ADDRESSES: Final = ("clone_url", "ssh_url", "html_url", "git_http_url", "git_ssh_url", "web_url", "homepage", "url")
"""Fields of `repository` and `project` at GitHub, Gitea and GitLab."""
_KINDS: Final = {"branch": "refs/heads/", "tag": "refs/tags/"}


def push(body: bytes) -> Push:
    """The push of a payload; one without refs for another event. Raises ValueError for what is no JSON object."""
    try:
        tree = json.loads(body)
    except RecursionError:
        tree = None
    if not isinstance(tree, dict):
        raise ValueError  # noqa: TRY004  # of what was sent
    payload = cast("dict[str, Any]", tree)
    names = (signatures.plain(each) for each in fields.texts(_addresses(payload)))
    refs = (each for each in fields.texts(_refs(payload)) if each.startswith(("refs/heads/", "refs/tags/")))
    artifacts, tags = registry_events.pushed(payload)
    return Push(frozenset(name for name in names if name is not None) | artifacts, frozenset(refs) | tags)


def _addresses(payload: dict[str, Any]) -> Iterator[object]:
    yield payload.get("repository")
    for place in (fields.part(payload, "repository"), fields.part(payload, "project")):
        for name in _ADDRESSES:
            yield place.get(name)
        links = fields.part(place, "links")
        yield fields.part(links, "html").get("href")
        for clone in fields.parts(links, "clone"):
            yield clone.get("href")


def _refs(payload: dict[str, Any]) -> Iterator[object]:
    yield payload.get("ref")
    for change in fields.parts(fields.part(payload, "push"), "changes"):
        new = fields.part(change, "new")
        kind, name = new.get("type"), new.get("name")
        if isinstance(kind, str) and isinstance(name, str) and kind in _KINDS:
            yield _KINDS[kind] + name
    for change in fields.parts(payload, "changes"):
        yield fields.part(change, "ref").get("id")
