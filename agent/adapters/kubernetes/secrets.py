"""Secrets that the agent reads for itself: credentials, keys, and those that it makes at first start."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.adapters.kubernetes import errors, paths, wire
from agent.adapters.kubernetes.objects import call
from agent.adapters.kubernetes.resources import SECRET
from agent.adapters.kubernetes.session import Request
from agent.api import names
from agent.values import derive
from agent.values.errors import ClusterUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agent.adapters.kubernetes.session import Session
    from agent.engine.ports import Identity
    from agent.values.secret import Secret
    from agent.values.tree import Object


class Secrets:
    """Values are bytes, labelled `live:v1/Secret/<namespace>/<name>#data.<key>`; `derive.text` makes text of them."""

    def __init__(self, session: Session) -> None:
        self._session: Session = session

    async def read(self, namespace: str, name: str, *, identity: Identity | None = None) -> dict[str, Secret] | None:
        """The decoded data by key, or None where there is no such Secret."""
        request = Request(
            call("GET", "get", SECRET, namespace, name, identity),
            paths.item(SECRET, namespace, name),
            identity=identity,
            allow=(404,),
        )
        answer = await self._session.request(request)
        if answer.code == 404:
            if not errors.is_status(answer.body):
                raise errors.translate(answer.code, answer.body, request.call)
            return None
        return wire.secret_data(answer.body, f"live:v1/Secret/{namespace}/{name}")

    async def ensure(self, namespace: str, name: str, make: Callable[[], Mapping[str, Secret]]) -> dict[str, Secret]:
        """The Secret as it is, made where there is none. Agents that start at the same time all get the same."""
        for _ in range(3):
            found = await self.read(namespace, name)
            if found is not None:
                return found
            await self._create(namespace, name, make())
        raise ClusterUnavailableError("the Secret is deleted as soon as it is made", namespace=namespace, name=name)

    async def _create(self, namespace: str, name: str, data: Mapping[str, Secret]) -> None:
        body: Object = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": name,
                "namespace": namespace,
                "labels": {"app.kubernetes.io/managed-by": names.FIELD_MANAGER},
            },
            "type": "Opaque",
            "data": {key: derive.base64_encode(secret) for key, secret in data.items()},
        }
        request = Request(
            call("POST", "create", SECRET, namespace, name),
            paths.collection(SECRET, namespace),
            {"fieldManager": names.FIELD_MANAGER},
            wire.encode(body),
            allow=(409,),
        )
        await self._session.request(request)
