"""`RecordPort`: a record's shards as ConfigMaps `signet-record-<application uid>-<shard>` in the agent's namespace.

What was read or written last is a precondition of the next write, or that there is nothing yet: of two agents that take
an Application at the same moment one does, and an agent that lost it cannot write over the record of its owner.
"""

from __future__ import annotations

import asyncio
import copy
import hashlib
import re
from typing import TYPE_CHECKING, Protocol

from agent.adapters.kubernetes.objects import Objects
from agent.adapters.kubernetes.resources import CONFIG_MAP
from agent.engine.ports import ABSENT
from agent.engine.shards import HEAD
from agent.values import tree
from agent.values.errors import AgentError, LimitError, StaleObjectError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Self

    from agent.adapters.kubernetes.session import Session
    from agent.manifests.kinds import Resource
    from agent.values.ids import ApplicationId
    from agent.values.tree import Object

LABEL_RECORD = "signet-gitops.dev/record-of"
LABEL_SHARD = "signet-gitops.dev/record-shard"
ANNOTATION_APPLICATION = "signet-gitops.dev/record-application"
SHARD_BYTES = 900 * 1024
"""An apiserver refuses a ConfigMap of 1 MiB."""

_KEY = "record"
_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?")


class Reading(Protocol):
    """What lists objects as a user may."""

    async def list(self, resource: Resource, *, namespace: str = "", selector: str = "") -> Sequence[Object]: ...


class Records:
    """`namespace` is the agent's own."""

    def __init__(self, session: Session, namespace: str) -> None:
        self.objects: Objects = Objects(session, lambda _: False)
        self._namespace: str = namespace
        self._versions: dict[str, tuple[str, str]] = {}
        """ConfigMap → uid and resourceVersion as last seen."""
        self._digests: dict[str, bytes] = {}
        """ConfigMap → digest of the text that it then had."""

    def fenced(self, check: Callable[[], None]) -> Self:
        """As `RecordPort.fenced`."""
        other = copy.copy(self)
        other.objects = self.objects.fenced(check)
        return other

    async def load(self, application: ApplicationId) -> Mapping[str, str]:
        found = await self.objects.list(CONFIG_MAP, namespace=self._namespace, selector=_selector(application))
        prefix = f"signet-record-{_part(application.uid)}-"
        for name in [name for name in self._versions if name.startswith(prefix)]:
            self._drop(name)
        shards = shards_of(application, found)
        for item in shards.values():
            self._remember(item)
        return {shard: tree.get_text(item, "data", _KEY) for shard, item in shards.items()}

    async def store(self, application: ApplicationId, shards: Mapping[str, str]) -> None:
        """StaleObjectError where another client wrote: load again before the next attempt. LimitError above 900 KiB."""
        for shard, text in shards.items():
            if len(text.encode("utf-8", "replace")) > SHARD_BYTES:
                raise LimitError("a shard of the record is too large to store", shard=shard, limit=SHARD_BYTES)
        # a head names only what is there: it is written after what it names, and before what it names no more goes
        await self._store_all(application, ((shard, text) for shard, text in shards.items() if text and shard != HEAD))
        await self._store_all(application, ((shard, text) for shard, text in shards.items() if text and shard == HEAD))
        await self._store_all(application, ((shard, text) for shard, text in shards.items() if not text))

    async def stands(self, application: ApplicationId, shard: str, text: str) -> bool:
        name = _name(application, shard)
        found = await self.objects.get_metadata(CONFIG_MAP, self._namespace, name)
        if found is None or _version(found) == self._versions.get(name):
            return found is not None
        # another client annotated it, or wrote another text
        found = await self.objects.get(CONFIG_MAP, self._namespace, name)
        if found is None or tree.get_text(found, "data", _KEY) != text:
            return False
        self._remember(found)
        return True

    async def _store_all(self, application: ApplicationId, shards: Iterable[tuple[str, str]]) -> None:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._store(application, shard, text)) for shard, text in shards]
        for task in tasks:
            failure = task.result()
            if failure is not None:
                raise failure

    async def _store(self, application: ApplicationId, shard: str, text: str) -> AgentError | None:
        name = _name(application, shard)
        try:
            if text:
                await self._write(application, name, shard, text)
            else:
                uid, version = self._versions.get(name, ("", ""))
                await self.objects.delete(
                    CONFIG_MAP, self._namespace, name, uid=uid, resource_version=version, identity=None
                )
                self._drop(name)
        except AgentError as error:
            if isinstance(error, StaleObjectError):
                self._drop(name)
            return error
        return None

    async def _write(self, application: ApplicationId, name: str, shard: str, text: str) -> None:
        try:
            self._remember(await self.objects.apply(CONFIG_MAP, self._body(application, name, shard, text)))
        except StaleObjectError:
            # an answer of ours that was lost, or another client's annotation, is not another agent
            found = await self.objects.get(CONFIG_MAP, self._namespace, name)
            stored = tree.get_text(found, "data", _KEY) if found is not None else ""
            if found is None or (stored != text and _digest(stored) != self._digests.get(name)):
                raise
            self._remember(found)
            if stored != text:
                self._remember(await self.objects.apply(CONFIG_MAP, self._body(application, name, shard, text)))

    def _body(self, application: ApplicationId, name: str, shard: str, text: str) -> Object:
        metadata: Object = {
            "name": name,
            "namespace": self._namespace,
            "labels": {LABEL_RECORD: application.uid, LABEL_SHARD: shard},
            "annotations": {ANNOTATION_APPLICATION: str(application)},
        }
        if name in self._versions:
            metadata["uid"], metadata["resourceVersion"] = self._versions[name]
        else:
            metadata["resourceVersion"] = ABSENT
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {_KEY: text}}

    async def forget(self, application: ApplicationId) -> None:
        found = await self.objects.list_metadata(CONFIG_MAP, namespace=self._namespace, selector=_selector(application))
        for item in found:
            name = tree.get_text(item, "metadata", "name")
            uid = tree.get_text(item, "metadata", "uid")
            await self.objects.delete(CONFIG_MAP, self._namespace, name, uid=uid, resource_version="", identity=None)
            self._drop(name)

    def _drop(self, name: str) -> None:
        self._versions.pop(name, None)
        self._digests.pop(name, None)

    def _remember(self, item: Object) -> None:
        name = tree.get_text(item, "metadata", "name")
        self._versions[name], self._digests[name] = _version(item), _digest(tree.get_text(item, "data", _KEY))


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def _version(item: Object) -> tuple[str, str]:
    return tree.get_text(item, "metadata", "uid"), tree.get_text(item, "metadata", "resourceVersion")


async def read(cluster: Reading, namespace: str, application: ApplicationId) -> Mapping[str, str]:
    """The shards of an Application as anyone may read them who may list the ConfigMaps of the agent's namespace. Raises ClusterError."""
    found = await cluster.list(CONFIG_MAP, namespace=namespace, selector=_selector(application))
    return {shard: tree.get_text(item, "data", _KEY) for shard, item in shards_of(application, found).items()}


def shards_of(application: ApplicationId, found: Iterable[Object]) -> dict[str, Object]:
    """ConfigMaps by the shard that each of them is."""
    named = {tree.get_text(item, "metadata", "labels", LABEL_SHARD): item for item in found}
    return {
        shard: item
        for shard, item in named.items()
        if tree.get_text(item, "metadata", "name") == _name(application, shard)
    }


def _selector(application: ApplicationId) -> str:
    return f"{LABEL_RECORD}={_part(application.uid)}"


def _name(application: ApplicationId, shard: str) -> str:
    return f"signet-record-{_part(application.uid)}-{_part(shard)}"


def _part(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise ValueError("a uid or shard cannot be part of a name")
    return text
