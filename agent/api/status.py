"""`Application.status`: what the agent reports. It is written, never read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, Literal, Self, cast

from pydantic import Field

from agent.api.model import Model
from agent.values.text import cut as cut_text
from agent.values.text import excerpt

if TYPE_CHECKING:
    from agent.values.errors import AgentError
    from agent.values.tree import Object

Timestamp = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
"""RFC 3339: see `durations.timestamp`."""

LONGEST_NOTES: Final = 4096
"""Characters of a chart's notes."""
LONGEST_TEXT: Final = 512
"""Characters of a text in the status; what is longer is cut, with an ellipsis."""

ConditionType = Literal["Ready", "Reconciling", "Stalled", "Healthy", "Drifted", "RecordLost", "Waiting"]


class Condition(Model):
    """One aspect of the Application's state, as `metav1.Condition`, so that `kubectl wait --for=condition=Ready` works."""

    type: ConditionType
    """`Ready`: the revision is applied in full. `Reconciling`: a sync is running or will be retried. `Stalled`: it fails until
    something is changed. `Healthy`: every object is, and is there; False while one is `Progressing` or `Degraded`, Unknown before anything was applied. `Drifted`: live objects differ from the revision. `RecordLost`: there was
    no record to go by, or none that verifies, when the agent took the Application; absent where there was. `Waiting`: a newer commit, or the
    commit under a newer spec, may not run yet, and what it waits for; absent where it may."""
    status: Literal["True", "False", "Unknown"]
    """Whether it is so."""
    reason: str
    """One word in CamelCase: the class of the error, or what succeeded."""
    message: str = ""
    """For people. Holds no text of Git, of a server or of a secret that was not escaped or known to be safe."""
    last_transition_time: Timestamp
    """When `status` last changed."""
    observed_generation: int = 0
    """The `metadata.generation` that this was judged by."""


class Counts(Model):
    """Objects, by what became of them in the last sync."""

    total: int = 0
    """Objects of the revision."""
    applied: int = 0
    """Created or changed, as the API server answered."""
    unchanged: int = 0
    """Needed nothing."""
    held: int = 0
    """Waiting for a secret, a file or another object; their last version stays."""
    failed: int = 0
    """Refused by the API server, or in conflict with another owner."""
    drifted: int = 0
    """Live objects that differ from the revision now."""
    finished: int = 0
    """Ran to their end and are gone, such as Jobs whose time to live is over. They do not run again."""
    pruned: int = 0
    """Deleted, because no layer holds them any more. What was gone already, or a finalizer keeps, does not count."""
    warnings: int = 0
    """What was found and is applied all the same, whether or not `warnings` has room for it."""


class Failure(Model):
    """One thing that went wrong, and what to do."""

    object: str = ""
    """`Deployment.apps shop/web`."""
    file: str = ""
    """Path in the repository, with line and column where they are known."""
    field: str = ""
    """Path of the field."""
    reason: str
    """The class of the error, as in conditions, events and metrics."""
    message: str
    """The cause."""
    hint: str = ""
    """What to do."""
    retry_at: Timestamp | None = None
    """When a store that failed is asked again; nothing else of an outage changes while it lasts."""

    @classmethod
    def of(cls, error: AgentError, *, object: str = "", file: str = "") -> Self:  # noqa: A002  # the field's name
        """What an error says, with its facts escaped and cut. `object` and `file` serve where the error names none."""
        facts = {name: excerpt(str(fact), LONGEST_TEXT) for name, fact in error.facts.items()}
        place = ":".join(facts.pop(name) for name in ("file", "line", "column") if name in facts)
        shown, field = facts.pop("object", "") or object, facts.pop("field", "")
        retry_at = facts.pop("retry_at", None)
        rest = ", ".join(f"{name} {fact}" for name, fact in facts.items())
        return cls(
            object=cut(shown),
            file=cut(place or excerpt(file, LONGEST_TEXT)),
            field=cut(field),
            reason=error.reason,
            message=cut(f"{error.message} ({rest})" if rest else error.message),
            hint=error.hint,
            retry_at=retry_at,
        )


class ObjectStatus(Model):
    """How one object stands."""

    object: str
    """`Deployment.apps shop/web`."""
    health: Literal["Healthy", "Progressing", "Degraded", "Unknown"]
    """As kstatus judges, in Argo CD's words. What is held or failed is `Progressing` where its last version stands, and what is not there
    is `Degraded`."""
    message: str = ""
    """What it waits for or failed at."""
    sync: Literal["Synced", "OutOfSync", "Held", "Failed"]
    """`Held`: it waits for a secret, a file or another object. `Failed`: the API server or its owner refuses it. `OutOfSync`: it is not
    there, differs, or is in no layer any more."""
    file: str = ""
    """The files that have a say in it."""
    rendered_from: str = ""
    """The folder of the overlay that it was rendered from."""
    created_at: Timestamp | None = None
    """When it was made."""


class SyncRecord(Model):
    """One sync that ended."""

    revision: str
    """`main@1f0c3b2a9d4e`."""
    started_at: Timestamp
    """When it began."""
    finished_at: Timestamp
    """When it ended."""
    result: Literal["succeeded", "partial", "failed"]
    """`partial`: some objects are held or failed, the others are applied."""
    cause: str
    """What started it, joined by `+` (`git` where it took a commit that was not looked at before, whatever made it look, `secret`, `live`,
    `spec`, `interval`, `request`, `retry`, `dependency`, `variables`, `window`, `renewal`, `start`) and, behind a colon, why it changed what
    it did: `commit`, `spec`, `secret-source` and which, `variable-source`, `generated-value`, `roll` and for which Secret, `live-edit` and
    by whom, `live-deletion`, `record-lost`, `rerun`."""
    subject: str = ""
    """The commit's first line, cut."""
    author: str = ""
    """Who wrote the commit, as it says, cut."""


class ApplicationStatus(Model):
    """What the agent reports. At most 32 KiB: notes, the lists of objects, warnings and failures are cut to fit, and the counts are not."""

    observed_generation: int = 0
    """The `metadata.generation` that was last handled."""
    revision: str | None = None
    """The commit that is applied: `main@1f0c3b2a9d4e`, and that of each further source: `main@1f0c3b2a9d4e, platform main@0a1b2c3d4e5f`. A
    commit that touches no file of the layers leaves it."""
    checked_revision: str | None = None
    """The newest commit that was looked at. One that leaves the Application is named by the next status, that of a poll at the latest, and at once if
    another Application depends on this one or the run was asked for."""
    conditions: Annotated[
        tuple[Condition, ...],
        Field(json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}),
    ] = ()
    """Ready, Reconciling, Stalled, Healthy and Drifted; RecordLost where that happened, and Waiting where a commit waits."""
    counts: Counts = Counts()
    """Objects, by what became of them."""
    objects: Annotated[tuple[ObjectStatus, ...], Field(json_schema_extra={"x-kubernetes-list-type": "atomic"})] = ()
    """How the objects stand, those that need attention first: at most a hundred, and fewer where they do not fit."""
    failures: Annotated[tuple[Failure, ...], Field(json_schema_extra={"x-kubernetes-list-type": "atomic"})] = ()
    """What is wrong now, the most informative first."""
    warnings: Annotated[tuple[Failure, ...], Field(json_schema_extra={"x-kubernetes-list-type": "atomic"})] = ()
    """What was applied and is hardly meant: secrets and values in the clear in Git, variables that nothing replaces. `Ready` does not
    depend on it."""
    history: Annotated[tuple[SyncRecord, ...], Field(json_schema_extra={"x-kubernetes-list-type": "atomic"})] = ()
    """The last ten syncs, newest first: what was released, and what else came to something new."""
    heals: Annotated[tuple[SyncRecord, ...], Field(json_schema_extra={"x-kubernetes-list-type": "atomic"})] = ()
    """The last ten syncs that only put back manual changes, newest first."""
    agent: str | None = None
    """The agent that runs the Application and wrote this."""
    epoch: int | None = None
    """How often an agent has taken the Application: each time it moves or its agent starts again, one more."""
    since: Timestamp | None = None
    """When `agent` took it."""
    last_handled_requested_at: str | None = None
    """The `signet-gitops.dev/requested-at` annotation that was last handled."""
    notes: str | None = None
    """What the chart's NOTES.txt says, without its sealed values, at most 4096 characters of it. It is text of the chart, which is not checked."""

    def tree(self) -> Object:
        """As the API takes it: camelCase, without what is not set."""
        return cast("Object", self.model_dump(mode="json", by_alias=True, exclude_none=True))


def cut(text: str, longest: int = LONGEST_TEXT) -> str:
    """`text`, at most `longest` characters of it."""
    return cut_text(text, longest)
