"""The bytes of API requests and answers: the only place where an object stands in the clear.

On the way out, Secret leaves become their plaintext inside the encoded body and nowhere else. On the way in, an answer
is wrapped before it leaves this module: a Secret's data always, and the whole object where `Seals` says that it holds a
secret.
"""

from __future__ import annotations

import base64
import binascii
import gc
import re
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias, cast

import orjson

from agent.manifests import live
from agent.values import tree
from agent.values.errors import ClusterUnavailableError, ObjectInvalidError
from agent.values.ids import ObjectId
from agent.values.reveal import reveal
from agent.values.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from agent.manifests.kinds import Resource
    from agent.values.tree import Object, Tree

    Seals: TypeAlias = Callable[[ObjectId], bool]
    """Whether a live object is to be wrapped whole, because the record says that one of its fields holds a secret."""


_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)|[\[\]{}]', re.DOTALL)
_DEEPEST = 512
"""Levels of an answer. orjson reads 1,024; what is read here is walked by functions that call themselves."""


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a LIST; `next` is empty on the last one."""

    items: Sequence[Object]
    resource_version: str
    next: str


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a watch. `status_code` is that of an ERROR event; `status` its `v1/Status` as sent."""

    type: str
    object: Object
    resource_version: str = ""
    status_code: int = 0
    status: bytes = field(default=b"", repr=False)


def encode(body: Object | Sequence[Object]) -> bytes:
    """The JSON of a request's body. Raises ObjectInvalidError for what JSON cannot say."""
    try:
        return orjson.dumps(body, default=_plain)
    except TypeError:  # orjson.JSONEncodeError is one; ours is raised below, where nothing of it is attached
        failure = ObjectInvalidError(
            "object holds something that JSON cannot express",
            hint="bytes belong into data of a Secret, integers have at most 64 bits, text is valid Unicode",
        )
    raise failure


def _plain(leaf: object) -> str | int | float | bool:
    value = reveal(leaf) if isinstance(leaf, Secret) else None
    if isinstance(value, str | int | float):
        return value
    raise TypeError


def decode(body: bytes) -> Object:
    """A JSON object, not wrapped: for answers that hold nothing secret. Raises ClusterUnavailableError."""
    found = _loads(body)
    if found is None:
        found = _loads(_shallow(body))
    if isinstance(found, dict):
        return cast("Object", found)
    raise ClusterUnavailableError(
        "the answer is not JSON", hint="is something other than an API server listening there?"
    )


def _loads(body: bytes) -> object:
    """None for what is not JSON, or nested deeper than the parser goes."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:  # holds the text, which must not be attached to an error
        return None


def _shallow(body: bytes) -> bytes:
    """JSON with null in the place of what is nested deeper than `_DEEPEST`.

    The API server takes 10,000 levels in fields without a schema, and a list holds the objects of all tenants.
    """
    pieces: list[bytes] = []
    depth, kept = 0, 0
    for token in _TOKEN.finditer(body):
        mark = token[0]
        if mark in b"[{":
            depth += 1
            if depth == _DEEPEST + 1:
                pieces += [body[kept : token.start()], b"null"]
        elif mark in b"]}":
            depth -= 1
            if depth == _DEEPEST:
                kept = token.end()
    return b"".join([*pieces, body[kept:]])


def maps(at: Tree, *path: str) -> list[Object]:
    """The maps in the list at `path`; none where there is no list, which some answers say by null."""
    found = tree.get(at, *path)
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def live_object(body: bytes, resource: Resource, seals: Seals) -> Object:
    """The object of an answer to GET, PATCH or POST."""
    return _wrap(decode(body), resource, seals)


def is_going(body: bytes) -> bool:
    """Whether an object that a DELETE answers with is still there: finalizers keep it, or it is given time to end."""
    answer = decode(body)
    kept = [*_list(answer, "metadata", "finalizers"), *_list(answer, "spec", "finalizers")]
    grace = tree.get(answer, "metadata", "deletionGracePeriodSeconds")
    return tree.get(answer, "metadata", "deletionTimestamp") is not None and bool(kept or grace)


def _list(at: Tree, *path: str) -> list[Tree]:
    found = tree.get(at, *path)
    return found if isinstance(found, list) else []


def page(body: bytes, resource: Resource, seals: Seals) -> Page:
    """The objects of one page of a LIST. Their `apiVersion` and `kind`, which lists leave out, are filled in."""
    with _collector_off():
        answer = decode(body)
        items = [_wrap(item, resource, seals) for item in maps(answer, "items")]
    metadata = tree.get_object(answer, "metadata")
    return Page(items, tree.get_text(metadata, "resourceVersion"), tree.get_text(metadata, "continue"))


def line(text: bytes, resource: Resource, seals: Seals) -> Line:
    """One event of a watch."""
    event = decode(text)
    found = tree.get_object(event, "object")
    if event.get("type") == "ERROR":
        code = found.get("code")
        return Line("ERROR", {}, status_code=code if isinstance(code, int) else 500, status=orjson.dumps(found))
    version = tree.get_text(found, "metadata", "resourceVersion")
    return Line(tree.get_text(event, "type"), _wrap(found, resource, seals), version)


def secret_data(body: bytes, label: str) -> dict[str, Secret]:
    """The decoded `data` of an answered `v1/Secret`: bytes, labelled `<label>#data.<key>`."""
    found = tree.get_object(decode(body), "data")
    return {key: Secret(_base64(text), f"{label}#data.{key}") for key, text in found.items() if isinstance(text, str)}


def _base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        failure = ClusterUnavailableError("the API server returned a Secret whose data is not base64")
    raise failure


def _wrap(found: Object, resource: Resource, seals: Seals) -> Object:
    metadata = tree.get_object(found, "metadata")
    name, namespace = tree.get_text(metadata, "name"), tree.get_text(metadata, "namespace")
    whole = seals(ObjectId(resource.group, resource.kind, namespace, name))
    return live.wrap({**found, "apiVersion": resource.api_version, "kind": resource.kind}, whole=whole)


@contextmanager
def _collector_off() -> Generator[None]:
    """Parsing a page allocates much and frees nothing: the garbage collector would cost a third of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
