"""What a webhook says: which refs of which repository moved. Nothing else of it is looked at, and no address in it is ever asked."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, cast

from agent.api import signatures
from agent.controllers.followers import Push

if TYPE_CHECKING:
    from collections.abc import Iterator

_ADDRESSES: Final = ("clone_url", "ssh_url", "html_url", "git_http_url", "git_ssh_url", "web_url", "homepage", "url")
"""Fields of `repository` and `project` at GitHub, Gitea and GitLab."""
_MOST: Final = 64
"""Addresses, and refs."""
_LONGEST: Final = 1024
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
    names = (signatures.plain(each) for each in _texts(_addresses(payload)))
    refs = (each for each in _texts(_refs(payload)) if each.startswith(("refs/heads/", "refs/tags/")))
    return Push(frozenset(name for name in names if name is not None), frozenset(refs))


def _texts(found: Iterator[object]) -> Iterator[str]:
    for number, each in enumerate(found):
        if number >= _MOST:
            return
        if isinstance(each, str) and len(each) <= _LONGEST:
            yield each


def _addresses(payload: dict[str, Any]) -> Iterator[object]:
    yield payload.get("repository")
    for place in (_object(payload, "repository"), _object(payload, "project")):
        for name in _ADDRESSES:
            yield place.get(name)
        links = _object(place, "links")
        yield _object(links, "html").get("href")
        for clone in _objects(links, "clone"):
            yield clone.get("href")


def _refs(payload: dict[str, Any]) -> Iterator[object]:
    yield payload.get("ref")
    for change in _objects(_object(payload, "push"), "changes"):
        new = _object(change, "new")
        kind, name = new.get("type"), new.get("name")
        if isinstance(kind, str) and isinstance(name, str) and kind in _KINDS:
            yield _KINDS[kind] + name
    for change in _objects(payload, "changes"):
        yield _object(change, "ref").get("id")


def _object(place: dict[str, Any], name: str) -> dict[str, Any]:
    found = place.get(name)
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


def _objects(place: dict[str, Any], name: str) -> Iterator[dict[str, Any]]:
    found = place.get(name)
    for each in cast("list[object]", found)[:_MOST] if isinstance(found, list) else ():
        if isinstance(each, dict):
            yield cast("dict[str, Any]", each)
