"""What one run knows of its surroundings: the Application, what the operator lets it do, the ports, and its right to write."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from agent.api import names
from agent.desired.cautions import Strictness
from agent.engine.causes import TAKES_KNOWN, WITHOUT_SOURCE, Cause, Trigger
from agent.engine.repositories import Asked
from agent.engine.rooms import Room
from agent.engine.rounds import Rounds
from agent.manifests import places
from agent.manifests.ownership import Owner
from agent.values.fingerprint import Fingerprinter

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from agent.api.application import Application
    from agent.api.operator import Limits
    from agent.api.registries import ArtifactRule
    from agent.api.signatures import SignatureRule
    from agent.api.windows import SyncWindow
    from agent.desired.dependencies import Name, Neighbour
    from agent.engine.fence import Fence
    from agent.engine.ledger import Ledger
    from agent.engine.live import Observer
    from agent.engine.ports import Identity, Ports
    from agent.manifests.places import Places
    from agent.manifests.sealed_secrets import Unsealing
    from agent.manifests.sinks import AllowedSinks
    from agent.values.ids import ApplicationId, ObjectId, Revision, RunId
    from agent.values.secret import Secret


@dataclass(frozen=True, slots=True)
class Fingerprints:
    """One fingerprinter per purpose, all under one installation key."""

    owners: Fingerprinter
    owned: Fingerprinter
    desired: Fingerprinter
    applied: Fingerprinter
    leaves: Fingerprinter
    records: Fingerprinter

    @classmethod
    def derive(cls, installation_key: Secret) -> Fingerprints:
        """From the installation key, 32 bytes or more."""
        purposes = ("owner", "projection", "recipe", "applied", "leaf", "record")
        return cls(*(Fingerprinter.derive(installation_key, purpose) for purpose in purposes))


_LENIENT = Strictness()
_POLL: Final = 0.9
"""Of an interval: an answer that another Application got since is as good, so that one of those that share asks, and never later than it would."""


@dataclass(frozen=True, slots=True)
class Grants:
    """What the operator lets an Application do. `identity` None acts as the agent itself; without `unsealing`, SealedSecrets are applied.

    `strict`: what is held rather than warned of. `people` are patterns of the field managers that are people, `dependencies` those of the
    other namespaces whose Applications it may depend on. `signatures` and `artifact_signatures` are the rules for those that commits and artifacts need, `disclosed` the
    variables that it asks to disclose, and may. `windows` are the operator's sync windows for it. `remote_bases` are
    addresses below which overlays may name repositories, `destinations` patterns of the namespaces that objects may go to.
    """

    identity: Identity | None
    sinks: AllowedSinks
    unsealing: Unsealing | None = None
    strict: Strictness = _LENIENT
    people: tuple[str, ...] = names.PEOPLE
    dependencies: tuple[str, ...] = ()
    signatures: tuple[SignatureRule, ...] = ()
    disclosed: frozenset[str] = frozenset()
    windows: tuple[SyncWindow, ...] = ()
    remote_bases: tuple[str, ...] = ()
    artifact_signatures: tuple[ArtifactRule, ...] = ()
    destinations: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Run:
    """One run of one Application.

    `triggers` say what started it. `rotated` are objects whose store references have a new version. `known_applications` maps the uid
    of every Application of the installation to its name. `revision` is set once the commit is known. `fence` is this agent's right to
    write, which `ports` ask before each attempt; `ledger` has the record. `insisted` are paths of additions, by their object, that come back
    after each removal. `neighbours` are all Applications as they stand at the moment of asking. `since` is when the run became due, in
    seconds of the monotonic clock, `room` the memory that it has for what it reads, `rounds` what it keeps while it waits without that.
    """

    id: RunId
    application: Application
    triggers: frozenset[Trigger]
    ports: Ports
    observer: Observer
    fingerprints: Fingerprints
    grants: Grants
    limits: Limits
    known_applications: Mapping[str, str]
    fence: Fence
    ledger: Ledger
    rotated: frozenset[ObjectId] = frozenset()
    revision: Revision | None = None
    insisted: Mapping[ObjectId, Collection[str]] = field(default_factory=dict["ObjectId", "Collection[str]"])
    neighbours: Mapping[Name, Neighbour] = field(default_factory=dict["Name", "Neighbour"])
    since: float = 0.0
    room: Room = field(default_factory=Room)
    rounds: Rounds = field(default_factory=Rounds)

    @property
    def application_id(self) -> ApplicationId:
        return self.application.id

    @property
    def owner(self) -> Owner:
        return Owner(self.observer.installation, self.application.id)

    @property
    def places(self) -> Places:
        """Where its objects may go."""
        return places.of_application(self.application, self.grants.destinations)

    @property
    def asks(self) -> Cause:
        """Why this run asks for other objects than the one that was recorded last, where it does."""
        before = self.ledger.record
        same = (
            before.revision is not None
            and self.revision is not None
            and before.revision.version == self.revision.version
        )
        return Cause.SPEC if same and before.generation != self.application.generation else Cause.COMMIT

    @property
    def changes(self) -> Cause:
        """Why an object that was applied is asked for in another form: where neither commit nor spec changed, variables of the cluster did."""
        before = self.ledger.record
        same = (
            before.revision is not None
            and self.revision is not None
            and (before.revision.version, before.generation) == (self.revision.version, self.application.generation)
        )
        return Cause.VARIABLES if same and self.application.spec.reads else self.asks

    @property
    def checks_source(self) -> bool:
        """Whether this run asks Git for a new commit: healing and rotation alone do not."""
        return not self.triggers <= WITHOUT_SOURCE

    @property
    def asked(self) -> Asked:
        """Which answers of Git will do: others than those of polls have to be as new as what started the run."""
        return self.polled(self.since) if self.triggers <= TAKES_KNOWN else Asked(self.since)

    def polled(self, now: float) -> Asked:
        """The same for a poll that is due `now`."""
        return Asked(now, _POLL * self.application.spec.interval)
