"""What the engine asks of the world. Adapters implement these; the engine imports nothing else of them.

Every port translates what its library raises into AgentError where it is met. Live objects come wrapped: see `manifests.live`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, Protocol, TypeAlias, TypeVar

from agent.api import names

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping, Sequence

    from agent.api.application import Application
    from agent.engine.charting import ChartPort
    from agent.engine.credentials import CredentialPort
    from agent.engine.generators import GeneratorPort
    from agent.engine.live import Departed, LiveFact
    from agent.engine.renderers import RenderPort
    from agent.engine.repositories import GitPort
    from agent.manifests.kinds import Kinds, Resource
    from agent.manifests.references import Reference
    from agent.manifests.sealed_secrets import SealedValue
    from agent.sops.format.groups import WrappedDataKey
    from agent.values.errors import AgentError, Fact
    from agent.values.ids import ApplicationId, ClusterId, ObjectId, Revision
    from agent.values.secret import Secret
    from agent.values.tree import Object

T = TypeVar("T")
ABSENT: Final = "1"
"""The resourceVersion of no object: etcd's first revision comes before anything that is stored."""
Deletion: TypeAlias = Literal["deleted", "deleting", "gone"]
"""What came of a deletion: done; accepted, and something such as a finalizer keeps the object for now; or there was no such object."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """A store's answer to a reference. `version` is 0 where the engine has none (KV v1)."""

    secret: Secret
    version: int


class StorePort(Protocol):
    """Vault and OpenBao, as configured by the operator."""

    async def resolve(
        self, application: ApplicationId, references: Collection[Reference]
    ) -> Mapping[Reference, Resolved | AgentError]:
        """One read per store, path and version, whatever the number of references. Never raises for one reference."""
        ...

    async def probe(
        self, application: ApplicationId, references: Collection[Reference]
    ) -> Mapping[Reference, int | AgentError]:
        """The current version of each, without reading values where the engine can say; 0 where it has none."""
        ...


class DataKeyPort(Protocol):
    """Opens the data keys of SOPS files with the Application's own keys and those that the operator grants it."""

    async def prepare(self, application: Application, wrapped: Collection[WrappedDataKey], source: str = "") -> None:
        """Open together what is cheaper so; `unwrap` then finds it. What does not open is left for `unwrap` to report.

        `source` is the name of the further source that the files are from, or the address of the submodule's repository: keys that are
        granted to a repository open no other's.
        """
        ...

    async def unwrap(self, application: Application, wrapped: WrappedDataKey, file: str, source: str = "") -> Secret:
        """The 32-byte data key, by the first key of each group that opens. Raises DataKeyError, with a reason per key."""
        ...

    async def forget(self, application: ApplicationId) -> None:
        """Drop every key of an Application that is gone or runs elsewhere."""
        ...


class SealingKeyPort(Protocol):
    """The private keys of a sealed-secrets controller, which the operator gave the agent."""

    async def unseal(
        self, application: ApplicationId, values: Collection[SealedValue]
    ) -> Mapping[str, Secret | AgentError]:
        """The bytes of each, for an Application, by the id of its leaf. Never raises for one value; of an object nothing is opened behind the first error."""
        ...


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a request is made as: a ServiceAccount that the agent impersonates."""

    namespace: str
    service_account: str


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """`synced` ends the initial list; `gone` is a DELETED, which a changed label causes too; `object` is a wrapped live object.

    `refused`: the agent may not list or watch this kind, and sees nothing of it until it may.
    """

    type: Literal["present", "gone", "synced", "refused"]
    object: Object
    resource: Resource


class HomePort(Protocol):
    """The cluster that the agent lives in: Applications, their status, finalizers and events."""

    def fenced(self, check: Callable[[], None]) -> HomePort:
        """As `TargetPort.fenced`."""
        ...

    async def get(self, resource: Resource, namespace: str, name: str) -> Object | None:
        """The live object, or None where there is none."""
        ...

    async def json_patch(self, resource: Resource, namespace: str, name: str, patch: Sequence[Object]) -> Object:
        """RFC 6902."""
        ...

    def watch(self, resource: Resource) -> AsyncIterator[WatchEvent]:
        """As `TargetPort.watch`."""
        ...

    async def update_status(self, application: ApplicationId, status: Object) -> None:
        """Replace the status of an Application. StaleObjectError where another one of its name took its place."""
        ...

    async def event(
        self, application: ApplicationId, *, kind: Literal["Normal", "Warning"], reason: str, message: str
    ) -> None:
        """An events.k8s.io/v1 Event about the Application; repeats within ten minutes become one series."""
        ...


class TargetPort(Protocol):
    """The cluster that an Application's objects are in. `identity` None is the agent's own."""

    @property
    def cluster(self) -> ClusterId:
        """Which one it is."""
        ...

    def fenced(self, check: Callable[[], None]) -> TargetPort:
        """The same cluster for one Application's run: `check` is called before each attempt to write, and raises LeaseLostError."""
        ...

    async def kinds(self, *, fresh: bool = False) -> Kinds:
        """Discovery as it was asked for last; `fresh` asks again."""
        ...

    async def version(self) -> str:
        """What the cluster says it is now: `v1.36.3`."""
        ...

    async def has_conditions(self, resource: Resource) -> bool:
        """Whether a custom resource's schema has `status.conditions`; asked once while the cluster serves the same kinds."""
        ...

    async def get(
        self, resource: Resource, namespace: str, name: str, *, identity: Identity | None = None
    ) -> Object | None:
        """The live object, or None where there is none."""
        ...

    async def list(self, resource: Resource, *, namespace: str = "", selector: str = "") -> Sequence[Object]:
        """Full objects, by pages."""
        ...

    async def list_metadata(self, resource: Resource, *, namespace: str = "", selector: str = "") -> Sequence[Object]:
        """PartialObjectMetadata: `metadata` only."""
        ...

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
        """Server-side apply; `metadata.resourceVersion` and `uid` of `desired`, if present, are preconditions: StaleObjectError if one fails.

        A resourceVersion without a uid lets an object be created, and refuses to change one of another version: `ABSENT` creates only.
        """
        ...

    async def try_create(self, resource: Resource, desired: Object, *, identity: Identity | None = None) -> None:
        """A dry run of creating an object, which is valid as a new one where one of its name stands and nothing else is against it."""
        ...

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
        """RFC 6902."""
        ...

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
        """With preconditions: StaleObjectError where it changed. What it owns goes too, in the background; `orphan` leaves that to itself."""
        ...

    def watch(self, resource: Resource, *, namespace: str = "", selector: str = "") -> AsyncIterator[WatchEvent]:
        """List, then watch, for ever: reconnects, re-lists on 410 (and ends each list with `synced`), backs off on refusal."""
        ...


class RecordPort(Protocol):
    """Where records live: sharded ConfigMaps in the agent's namespace. Bytes in, bytes out; `reconcile.record` gives them meaning."""

    def fenced(self, check: Callable[[], None]) -> RecordPort:
        """The same records for one Application's run, as `TargetPort.fenced`."""
        ...

    async def load(self, application: ApplicationId) -> Mapping[str, str]:
        """Shard name → text; empty where nothing was stored."""
        ...

    async def store(self, application: ApplicationId, shards: Mapping[str, str]) -> None:
        """Replace the given shards (only those that changed are passed) and remove those whose text is empty; the head comes last.

        Each write carries the version that was loaded or stored last, or creates where there was none: StaleObjectError where
        another writer came first.
        """
        ...

    async def stands(self, application: ApplicationId, shard: str, text: str) -> bool:
        """Whether a shard is stored as `text`, asked of the API server now; a read of metadata where nothing was written since."""
        ...

    async def forget(self, application: ApplicationId) -> None:
        """Remove all shards of an Application that is gone."""
        ...


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One fact for the audit trail. Every text is safe to show. `files` had a say in the object, `rendered_from` is an overlay's folder."""

    phase: Literal["intent", "outcome", "event"]
    run: str
    cause: str
    application: ApplicationId
    revision: Revision | None
    action: str
    object: ObjectId | None = None
    fields: tuple[str, ...] = ()
    fingerprints: Mapping[str, str] | None = None
    secrets: tuple[str, ...] = ()
    result: str = ""
    facts: Mapping[str, Fact] | None = None
    files: tuple[str, ...] = ()
    rendered_from: str = ""


class AuditPort(Protocol):
    """The tamper-evident trail."""

    async def write(self, entries: Iterable[AuditEntry]) -> None:
        """Durable when it returns. Raises AuditError. Entries are asked for as they are written, and cut where they are larger than a record."""
        ...

    async def checkpoint(self, run: str) -> None:
        """Sign the chain's head and anchor it in the agent's namespace."""
        ...


class MetricsPort(Protocol):
    def reconciled(self, cause: str, result: str, seconds: float) -> None: ...
    def drifted(self, cause: str) -> None: ...
    def healed(self, seconds: float) -> None: ...
    def objects(self, application: ApplicationId, states: Mapping[str, int]) -> None: ...
    def held(self, application: ApplicationId, reasons: Mapping[str, int]) -> None: ...
    def waits(self, application: ApplicationId, reasons: Mapping[str, int]) -> None: ...
    def refused(self, application: ApplicationId, reason: str) -> None: ...
    def synced(self, application: ApplicationId, unix_seconds: float) -> None: ...
    def queued(self, namespace: str, runs: int) -> None: ...
    def waited(self, seconds: float) -> None: ...
    def began(self, application: ApplicationId, unix_seconds: float) -> None: ...
    def ended(self, application: ApplicationId, unix_seconds: float) -> None: ...
    def forget(self, application: ApplicationId) -> None: ...


class ClockPort(Protocol):
    """Time as arguments: `now` in Unix seconds, `monotonic` in seconds of boot time."""

    def now(self) -> float: ...
    def monotonic(self) -> float: ...


class LivePort(Protocol):
    """The watches of the installation, one per kind, and what is known of live objects."""

    def refused(self) -> frozenset[Resource]:
        """The kinds that the agent may not list and watch, as far as it knows."""
        ...

    def snapshot(self, application: str) -> Mapping[ObjectId, LiveFact]:
        """What is known of the objects of an Application, by its uid; what comes later is not in it."""
        ...

    def departed(self, application: str) -> Mapping[ObjectId, Departed]:
        """Objects of an Application that a watch saw go and that have not come back."""
        ...

    def observed(self, application: str, key: ObjectId, fact: LiveFact | None) -> None:
        """What an answer to a request of its run showed; None: the object is gone. What a watch showed since stands."""
        ...

    async def follow(self, resources: Collection[Resource]) -> frozenset[Resource]:
        """Watch these kinds too, and wait until the first list of each is observed. Gives those that are; a refused one is missing."""
        ...


class TasksPort(Protocol):
    """Concurrency and waiting, so that the engine owns neither tasks nor timers."""

    async def all(self, work: Iterable[Awaitable[T]]) -> list[T]:
        """Results in order. When one raises, the others end first, then it is raised."""
        ...

    async def in_thread(self, work: Callable[[], T]) -> T:
        """The result of work that may take seconds, such as parsing what a tenant wrote: everything else goes on meanwhile."""
        ...

    async def sleep(self, seconds: float) -> None: ...


@dataclass(frozen=True, slots=True)
class Ports:
    """Everything that a reconciliation may reach."""

    git: GitPort
    charts: ChartPort
    renderers: RenderPort
    credentials: CredentialPort
    data_keys: DataKeyPort
    sealing_keys: SealingKeyPort
    stores: StorePort
    home: HomePort
    target: TargetPort
    live: LivePort
    records: RecordPort
    audit: AuditPort
    metrics: MetricsPort
    clock: ClockPort
    tasks: TasksPort
    generators: GeneratorPort
