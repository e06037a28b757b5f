"""Objects of any kind: GET, LIST by pages, server-side apply, JSON patch, DELETE with preconditions."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import TYPE_CHECKING

from agent.adapters.kubernetes import errors, paths, wire
from agent.adapters.kubernetes.errors import Call
from agent.adapters.kubernetes.session import JSON, TOO_LARGE, Request, username
from agent.api import names
from agent.values import tree
from agent.values.errors import ExpiredError
from agent.values.ids import ObjectId

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence
    from typing import Self

    from agent.adapters.kubernetes.session import Session
    from agent.adapters.kubernetes.wire import Page, Seals
    from agent.engine.ports import Deletion, Identity
    from agent.manifests.kinds import Resource
    from agent.values.tree import Object

APPLY = "application/apply-patch+yaml"
_METADATA = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
_ONE_METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
_PAGE = 250
_METADATA_PAGE = 1000
_PAGE_BYTES = 16 * 1024 * 1024
"""An object has up to 1.5 MiB, and anybody may write many and give them the label that the agent lists by. A page takes several times
its size while it is read."""


def call(  # noqa: PLR0917  # in the order of a request line
    method: str, verb: str, resource: Resource, namespace: str, name: str, identity: Identity | None = None
) -> Call:
    """The facts of a request about one object."""
    target = ObjectId(resource.group, resource.kind, namespace if resource.namespaced else "", name)
    return Call(method, verb, target, identity=username(identity) if identity is not None else "")


class Objects:
    """What `TargetPort` says about single objects and lists. Writes are guarded by the agent's Lease."""

    def __init__(self, session: Session, seals: Seals) -> None:
        self._session: Session = session
        self._seals: Seals = seals
        self.check: Callable[[], None] | None = None

    def fenced(self, check: Callable[[], None]) -> Self:
        """The same, for writes that `check` refuses by LeaseLostError: it is called before each attempt."""
        other = copy.copy(self)
        other.check = check
        return other

    async def get(
        self, resource: Resource, namespace: str, name: str, *, identity: Identity | None = None
    ) -> Object | None:
        """None where there is no such object; NotFoundError where the kind itself is not served."""
        return await self._get(resource, namespace, name, JSON, identity)

    async def get_metadata(self, resource: Resource, namespace: str, name: str) -> Object | None:
        """PartialObjectMetadata, as `get`."""
        return await self._get(resource, namespace, name, _ONE_METADATA)

    async def _get(
        self, resource: Resource, namespace: str, name: str, accept: str, identity: Identity | None = None
    ) -> Object | None:
        asked = call("GET", "get", resource, namespace, name, identity)
        path = paths.item(resource, namespace, name)
        request = Request(asked, path, accept=accept, identity=identity, allow=(404,))
        answer = await self._session.request(request)
        if answer.code != 404:
            return wire.live_object(answer.body, resource, self._seals)
        if not errors.is_status(answer.body):
            raise errors.translate(answer.code, answer.body, asked)
        return None

    async def list(self, resource: Resource, *, namespace: str = "", selector: str = "") -> Sequence[Object]:
        return await self._all(resource, namespace, selector, JSON, _PAGE)

    async def list_metadata(self, resource: Resource, *, namespace: str = "", selector: str = "") -> Sequence[Object]:
        return await self._all(resource, namespace, selector, _METADATA, _METADATA_PAGE)

    async def _all(self, resource: Resource, namespace: str, selector: str, accept: str, limit: int) -> list[Object]:
        async def collect(limit: int) -> list[Object]:
            found = pages(
                self._session,
                resource,
                self._seals,
                namespace=namespace,
                selector=selector,
                limit=limit,
                accept=accept,
            )
            return [item async for page in found for item in page.items]

        try:
            return await collect(limit)
        except ExpiredError:
            # the list was compacted away between two pages: once more, in one answer
            return await collect(0)

    async def apply(
        self,
        resource: Resource,
        desired: Object,
        *,
        identity: Identity | None = None,
        force: bool = True,
        manager: str = names.FIELD_MANAGER,
        dry_run: bool = False,
    ) -> Object:
        """As `TargetPort.apply`; `dry_run` changes nothing.

        A `uid` in `metadata` binds the apply to that very object. A `resourceVersion` alone does not: the server
        creates an object that was deleted in between.
        """
        namespace, name = tree.get_text(desired, "metadata", "namespace"), tree.get_text(desired, "metadata", "name")
        query = {"fieldManager": manager, "force": "true" if force else "false", "fieldValidation": "Strict"}
        if dry_run:
            query["dryRun"] = "All"
        request = Request(
            call("PATCH", "apply", resource, namespace, name, identity),
            paths.item(resource, namespace, name),
            query,
            wire.encode(desired),
            APPLY,
            identity=identity,
            guarded=not dry_run,
            check=self.check,
        )
        return wire.live_object((await self._session.request(request)).body, resource, self._seals)

    async def try_create(self, resource: Resource, desired: Object, *, identity: Identity | None = None) -> None:
        """The server validates before it looks whether the name is taken: `AlreadyExists` is its last word."""
        namespace, name = tree.get_text(desired, "metadata", "namespace"), tree.get_text(desired, "metadata", "name")
        asked = call("POST", "create", resource, namespace, name, identity)
        request = Request(
            asked,
            paths.collection(resource, namespace),
            {"dryRun": "All", "fieldManager": names.FIELD_MANAGER, "fieldValidation": "Strict"},
            wire.encode(desired),
            identity=identity,
            allow=(409,),
        )
        answer = await self._session.request(request)
        if answer.code == 409 and not errors.is_taken(answer.body, name):
            raise errors.translate(answer.code, answer.body, asked)

    async def json_patch(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        patch: Sequence[Object],
        *,
        identity: Identity | None = None,
        dry_run: bool = False,
    ) -> Object:
        """StaleObjectError where a `test` fails or a path is missing, which the server does not distinguish."""
        request = Request(
            call("PATCH", "patch", resource, namespace, name, identity),
            paths.item(resource, namespace, name),
            {"fieldManager": names.FIELD_MANAGER} | ({"dryRun": "All"} if dry_run else {}),
            wire.encode(patch),
            "application/json-patch+json",
            identity=identity,
            guarded=not dry_run,
            check=self.check,
        )
        return wire.live_object((await self._session.request(request)).body, resource, self._seals)

    async def delete(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        *,
        uid: str,
        resource_version: str,
        identity: Identity | None,
        orphan: bool = False,
    ) -> Deletion:
        """An empty `uid` or `resource_version` is no precondition; `orphan` leaves what the object owns to itself."""
        asked = call("DELETE", "delete", resource, namespace, name, identity)
        given = {"uid": uid, "resourceVersion": resource_version}
        options: Object = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": "Orphan" if orphan else "Background",
            "preconditions": {key: value for key, value in given.items() if value},
        }
        request = Request(
            asked,
            paths.item(resource, namespace, name),
            body=wire.encode(options),
            identity=identity,
            allow=(404,),
            guarded=True,
            check=self.check,
        )
        answer = await self._session.request(request)
        if answer.code == 404 and not errors.is_status(answer.body):
            raise errors.translate(answer.code, answer.body, asked)
        if answer.code == 404:
            return "gone"
        return "deleted" if errors.is_status(answer.body) or not wire.is_going(answer.body) else "deleting"


async def pages(
    session: Session,
    resource: Resource,
    seals: Seals,
    *,
    namespace: str,
    selector: str,
    limit: int,
    accept: str = JSON,
) -> AsyncGenerator[Page]:
    """A consistent LIST; `limit` 0 asks for one page. ExpiredError when it took longer than the server keeps it.

    A page that is too large is asked for again with fewer objects, down to one.
    """
    query = {"labelSelector": selector} if selector else {}
    if limit:
        query["limit"] = str(limit)
    asked = Call("GET", "list", kind=resource.plural, namespace=namespace)
    path = paths.collection(resource, namespace)
    while True:
        request = Request(asked, path, query, accept=accept)
        if limit > 1:
            request = replace(request, most=_PAGE_BYTES, allow=(TOO_LARGE,))
        answer = await session.request(request)
        if answer.code == TOO_LARGE:
            limit //= 2
            query = {**query, "limit": str(limit)}
            continue
        page = wire.page(answer.body, resource, seals)
        yield page
        if not page.next:
            return
        query = {**query, "continue": page.next}
