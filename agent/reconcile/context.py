"""What one run knows (Run, immutable) and what is remembered between the runs of one Application (Memory)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeVar

from agent.manifests.ownership import Owner
from agent.reconcile.record import ApplicationRecord, Codec
from agent.values.fingerprint import Fingerprinter

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agent.api.application import Application
    from agent.api.operator import Limits
    from agent.manifests.documents import ParsedFile
    from agent.manifests.layers import Desired
    from agent.manifests.sealed_secrets import Unsealing
    from agent.manifests.sinks import AllowedSinks
    from agent.reconcile.desired import DesiredState, Problem
    from agent.reconcile.live import LiveFact, Observer
    from agent.reconcile.ports import Identity, Ports
    from agent.values.ids import ApplicationId, ObjectId, Revision, RunId
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


@dataclass(frozen=True, slots=True)
class Grants:
    """What the operator lets an Application do. `identity` None acts as the agent itself; without `unsealing`, SealedSecrets are applied."""

    identity: Identity | None
    sinks: AllowedSinks
    unsealing: Unsealing | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """One run of one Application.

    `causes` say what started it. `rotated` are objects whose store references have a new version. `known_applications` maps the uid
    of every Application of the installation to its name. `revision` is set once the commit is known.
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

    `saved` is the record that was stored last, `stored` its shards. `desired` is the last desired state, `desired_for` the generation and
    content it was made of, `recipes` its objects with their fingerprints, `applied` the state that was last applied. `parsed` holds files
    by path, blob and layer.
    """

    record: ApplicationRecord = field(default_factory=ApplicationRecord)
    saved: ApplicationRecord | None = None
    stored: dict[str, str] = field(default_factory=dict[str, str])
    desired: DesiredState | None = None
    applied: DesiredState | None = None
    desired_for: tuple[int, str] = (0, "")
    recipes: tuple[Mapping[ObjectId, Desired], dict[ObjectId, str]] | None = None
    live: dict[ObjectId, LiveFact] = field(default_factory=dict["ObjectId", "LiveFact"])
    parsed: dict[tuple[str, str, int], ParsedFile] = field(default_factory=dict[tuple[str, str, int], "ParsedFile"])
    verified: dict[str, str] = field(default_factory=dict[str, str])
    checked: Revision | None = None
    unread: tuple[Problem, ...] = ()

    async def load(self, run: Run) -> None:
        """Read the stored record. Raises RecordDamagedError where it does not verify; the memory then stays empty."""
        self.stored = dict(await run.ports.records.load(run.application_id))
        codec, stored = self._codec(run), self.stored
        self.record = await _beside(run, sum(map(len, stored.values())) > _QUICK_BYTES, lambda: codec.decode(stored))
        self.verified = dict(self.record.verified) if self.record.generation == run.application.generation else {}

    async def save(self, run: Run, record: ApplicationRecord) -> None:
        """Remember a record, and store what changed of it."""
        self.record = record
        if record == self.saved:
            return
        codec, stored = self._codec(run), self.stored
        changed = await _beside(run, len(record.objects) > _QUICK, lambda: codec.encode(record, stored))
        if changed:
            await run.ports.records.store(run.application_id, changed)
            self.stored = {name: text for name, text in {**self.stored, **changed}.items() if text}
        self.saved = record

    @staticmethod
    def _codec(run: Run) -> Codec:
        return Codec(run.fingerprints.records, run.application_id.uid)


async def _beside(run: Run, long: bool, work: Callable[[], T]) -> T:
    return await run.ports.tasks.apart(work) if long else work()
