"""What one run knows (Run, immutable) and what is remembered between the runs of one Application (Memory)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, TypeVar

from agent.desired.cautions import Strictness
from agent.engine.record import HEAD, ApplicationRecord, Codec, RecordDamagedError
from agent.manifests.ownership import Owner
from agent.values.errors import LeaseLostError, StaleObjectError
from agent.values.fingerprint import Fingerprinter
from agent.values.ids import IN_CLUSTER

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agent.api.application import Application
    from agent.api.operator import Limits
    from agent.desired.compiler import DesiredState, Problem
    from agent.engine.fence import Fence
    from agent.engine.live import Observer
    from agent.engine.ports import Identity, Ports, RecordPort, TasksPort
    from agent.manifests.documents import ParsedFile
    from agent.manifests.layers import Desired
    from agent.manifests.sealed_secrets import Unsealing
    from agent.manifests.sinks import AllowedSinks
    from agent.values.ids import ApplicationId, ClusterId, ObjectId, Revision, RunId
    from agent.values.secret import Secret


T = TypeVar("T")

_QUICK: Final = 500
_QUICK_BYTES: Final = 64 * 1024
"""Of a record that is written or read at once; a larger one takes long enough to keep everything else waiting."""


@dataclass(frozen=True, slots=True)
class Fingerprints:
    """One fingerprinter per purpose, all under one installation key."""

    owners: Fingerprinter
    projections: Fingerprinter
    recipes: Fingerprinter
    applied: Fingerprinter
    leaves: Fingerprinter
    records: Fingerprinter

    @classmethod
    def derive(cls, installation_key: Secret) -> Fingerprints:
        """From the installation key, 32 bytes or more."""
        purposes = ("owner", "projection", "recipe", "applied", "leaf", "record")
        return cls(*(Fingerprinter.derive(installation_key, purpose) for purpose in purposes))


_LENIENT = Strictness()


@dataclass(frozen=True, slots=True)
class Grants:
    """What the operator lets an Application do. `identity` None acts as the agent itself; without `unsealing`, SealedSecrets are applied.

    `strict`: what is held rather than warned of.
    """

    identity: Identity | None
    sinks: AllowedSinks
    unsealing: Unsealing | None = None
    strict: Strictness = _LENIENT


@dataclass(frozen=True, slots=True)
class Run:
    """One run of one Application.

    `causes` say what started it. `rotated` are objects whose store references have a new version. `known_applications` maps the uid
    of every Application of the installation to its name. `revision` is set once the commit is known. `fence` is this agent's right to
    write; `ports` ask it before each attempt.
    """

    id: RunId
    application: Application
    causes: frozenset[str]
    ports: Ports
    observer: Observer
    fingerprints: Fingerprints
    grants: Grants
    limits: Limits
    known_applications: Mapping[str, str]
    fence: Fence
    rotated: frozenset[ObjectId] = frozenset()
    revision: Revision | None = None

    @property
    def application_id(self) -> ApplicationId:
        return self.application.id

    @property
    def owner(self) -> Owner:
        return Owner(self.observer.installation, self.application.id)

    @property
    def checks_source(self) -> bool:
        """Whether this run asks Git for a new commit: healing and rotation alone do not."""
        return not self.causes <= {"live", "secret"}


@dataclass(slots=True)
class Memory:
    """What is kept between runs.

    `record` is of objects in `cluster`. `saved` is the record that was stored last, `stored` its shards. `desired` is the last desired state, `desired_for` the generation and
    content it was made of, `recipes` its objects with their fingerprints, `applied` the state that was last applied. `parsed` holds files
    by path, blob and layer. `unrecorded` says that nothing was stored when the Application was taken, until its first run looked whether
    there should have been; `loss` is the reason why what was stored is not known.

    It is as old as one epoch: whatever ends that ends the memory too.
    """

    record: ApplicationRecord = field(default_factory=ApplicationRecord)
    cluster: ClusterId = IN_CLUSTER
    saved: ApplicationRecord | None = None
    stored: dict[str, str] = field(default_factory=dict[str, str])
    desired: DesiredState | None = None
    applied: DesiredState | None = None
    desired_for: tuple[int, str] = (0, "")
    recipes: tuple[Mapping[ObjectId, Desired], dict[ObjectId, str]] | None = None
    parsed: dict[tuple[str, str, int], ParsedFile] = field(default_factory=dict[tuple[str, str, int], "ParsedFile"])
    verified: dict[str, str] = field(default_factory=dict[str, str])
    checked: Revision | None = None
    unread: tuple[Problem, ...] = ()
    unrecorded: bool = False
    loss: str = ""

    async def take(
        self, records: RecordPort, tasks: TasksPort, codec: Codec, application: ApplicationId, holder: str
    ) -> None:
        """Read the stored record and write the next epoch into it. Raises LeaseLostError where another agent came first.

        A record that does not verify is lost: `loss` then says so. `holder` is a text that no other hold has.
        """
        self.stored = dict(await records.load(application))
        self.unrecorded = not self.stored
        try:
            stored = self.stored
            large = sum(map(len, stored.values())) > _QUICK_BYTES
            self.record = await _beside(tasks, large, lambda: codec.decode(stored))
        except RecordDamagedError as error:
            self.loss = error.reason
            self.stored = dict.fromkeys(self.stored, "")
        self.verified = dict(self.record.verified)
        await self._store(
            records, tasks, codec, application, replace(self.record, epoch=self.record.epoch + 1, holder=holder)
        )

    async def save(self, run: Run, record: ApplicationRecord) -> bool:
        """Remember a record, and store what changed of it; whether that showed the epoch.

        Raises LeaseLostError where another agent wrote it meanwhile.
        """
        codec = Codec(run.fingerprints.records, run.application_id.uid)
        run.fence.check()
        run.ports.live.recorded(run.application_id.uid, record.objects)
        stored = await self._store(run.ports.records, run.ports.tasks, codec, run.application_id, record)
        if stored:
            run.fence.shown()
        return stored

    async def _store(
        self,
        records: RecordPort,
        tasks: TasksPort,
        codec: Codec,
        application: ApplicationId,
        record: ApplicationRecord,
    ) -> bool:
        """Whether the head was written."""
        self.record = record
        if record == self.saved:
            return False
        stored = self.stored
        changed = await _beside(tasks, len(record.objects) > _QUICK, lambda: codec.encode(record, stored))
        try:
            if changed:
                await records.store(application, changed)
        except StaleObjectError:
            raise LeaseLostError("another agent writes the record of this Application") from None
        self.stored = {name: text for name, text in {**self.stored, **changed}.items() if text}
        self.saved = record
        return HEAD in changed


async def _beside(tasks: TasksPort, long: bool, work: Callable[[], T]) -> T:
    return await tasks.apart(work) if long else work()
