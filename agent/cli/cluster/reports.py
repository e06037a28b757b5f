"""What Application objects say about themselves, for people and for programs. Every text of a status is untrusted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.adapters.kubernetes.resources import APPLICATION
from agent.api import names
from agent.cli import terminal
from agent.cli.errors import UsageError
from agent.values.dataclass import dataclass
from agent.values.errors import NotFoundError, RecoveryNeededError
from agent.values.tree import get, get_object, get_text

if TYPE_CHECKING:
    from agent.adapters.kubernetes.cluster import Cluster
    from agent.values.tree import Object, Tree

_HEADERS = ("NAMESPACE", "NAME", "READY", "HEALTHY", "DRIFTED", "REVISION", "CHECKED", "OBJECTS", "MESSAGE")
_RECOVERY = RecoveryNeededError("").reason
_UNITS = ((86400, "d"), (3600, "h"), (60, "m"), (1, "s"))


@dataclass(frozen=True, slots=True)
class Report:
    """One Application as the cluster has it."""

    tree: Object

    @property
    def namespace(self) -> str:
        return get_text(self.tree, "metadata", "namespace")

    @property
    def name(self) -> str:
        return get_text(self.tree, "metadata", "name")

    @property
    def status(self) -> Object:
        return get_object(self.tree, "status")

    @property
    def suspended(self) -> bool:
        return get(self.tree, "spec", "suspend") is True

    @property
    def ready(self) -> bool:
        return self.condition("Ready") == "True"

    @property
    def waits_for_recovery(self) -> bool:
        """Whether the agent writes nothing of it until objects are handed over."""
        return any(get_text(each, "reason") == _RECOVERY for each in self.items("failures"))

    def condition(self, kind: str) -> str:
        """`True`, `False` or `Unknown`, which it is too before the first report."""
        return next(
            (get_text(each, "status") for each in self.items("conditions") if each.get("type") == kind), "Unknown"
        )

    @property
    def health(self) -> str:
        """`True`, or in a word what is the matter: `Progressing`, `Degraded` or `Unknown`."""
        found = [each for each in self.items("conditions") if each.get("type") == "Healthy"]
        if not found:
            return "Unknown"
        return "True" if found[0].get("status") == "True" else get_text(found[0], "reason")

    def items(self, field: str) -> list[Object]:
        """The maps of a list of the status."""
        found = self.status.get(field)
        return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []

    @property
    def message(self) -> str:
        """The first thing that a person should know."""
        for kind, good in (("Ready", "True"), ("Healthy", "True"), ("Drifted", "False")):
            for each in self.items("conditions"):
                if each.get("type") == kind and each.get("status") != good:
                    return get_text(each, "message") or get_text(each, "reason")
        return "" if self.status else "no agent has looked at it yet"

    def as_json(self) -> dict[str, object]:
        return {
            "namespace": self.namespace,
            "name": self.name,
            "ready": self.ready,
            "suspended": self.suspended,
            **self.status,
        }


async def get_one(cluster: Cluster, namespace: str, name: str) -> Report:
    """Raises NotFoundError."""
    found = await cluster.get(APPLICATION, namespace, name)
    if found is None:
        raise NotFoundError(
            "no such Application", hint="agent status -A lists them all", application=f"{namespace}/{name}"
        )
    return Report(found)


def asked(report: Report, **metadata: Tree) -> Object:
    """What is applied to change this very Application: by its uid, so that none is made where it is gone."""
    this: Object = {
        "namespace": report.namespace,
        "name": report.name,
        "uid": get(report.tree, "metadata", "uid"),
    }
    return {"apiVersion": names.API_VERSION, "kind": names.KIND, "metadata": {**this, **metadata}}


def place(given: str, namespace: str, default: str) -> tuple[str, str]:
    """Namespace and name of `NAME` or `NAMESPACE/NAME`. Raises UsageError."""
    before, found, name = given.rpartition("/")
    if found and namespace and before != namespace:
        raise UsageError("two namespaces are named", hint="leave out -n", application=given, namespace=namespace)
    return before or namespace or default, name


def table(reports: list[Report]) -> None:
    """A line for each."""
    rows = [
        (
            each.namespace,
            each.name,
            each.condition("Ready"),
            each.health,
            each.condition("Drifted"),
            _text(each.status.get("revision")),
            _text(each.status.get("checkedRevision")),
            _objects(each),
            each.message,
        )
        for each in reports
    ]
    terminal.table(_HEADERS, rows)


def notes(report: Report) -> None:
    """The notes of an Application's chart, each line marked as the chart's: it may say anything, and pretend to be this program."""
    text = get_text(report.status, "notes")
    if not text:
        terminal.note(
            "there are no notes: the Application renders no chart, its chart has none, or it was not applied yet"
        )
        return
    terminal.line(f"the chart of {report.namespace}/{report.name} says, which is not checked:")
    for line in text.splitlines():
        terminal.line(f"  | {line}")


def details(report: Report) -> None:
    """Everything that the agent reported of one: conditions, what failed and what to do, the objects, the last syncs."""
    table([report])
    checked = get_text(report.status, "checkedRevision")
    if checked and checked != get_text(report.status, "revision"):
        terminal.line(f"newest commit that was looked at: {checked}")
    if get_text(report.status, "agent"):
        since = get_text(report.status, "since")
        terminal.line(f"run by: {get_text(report.status, 'agent')}" + (f", since {since}" if since else ""))
    conditions = [
        _fields(each, "type", "status", "reason", "lastTransitionTime", "message")
        for each in report.items("conditions")
    ]
    _section(("CONDITION", "STATUS", "REASON", "SINCE", "MESSAGE"), conditions)
    failures(report)
    _objects_of(report)
    names = ("revision", "finishedAt", "result", "cause", "author", "subject")
    for title, kept in (("RELEASE", "history"), ("HEAL", "heals")):
        rows = [_fields(each, *names) for each in report.items(kept)]
        _section((title, "FINISHED", "RESULT", "CAUSE", "AUTHOR", "SUBJECT"), rows)


def _objects_of(report: Report) -> None:
    """How each object stands, as the status has room for, those that need attention first."""
    found = report.items("objects")
    rows = [
        (
            get_text(each, "object"),
            _age(get_text(each, "createdAt")),
            *_fields(each, "health", "sync"),
            _origin(*_fields(each, "file", "renderedFrom")),
        )
        for each in found
    ]
    _section(("OBJECT", "AGE", "HEALTH", "SYNC", "FILE"), rows)
    total = get(report.status, "counts", "total")
    if found and isinstance(total, int) and total > len(found):
        terminal.line(f"and {total - len(found)} more, which are no worse")


def _age(created: str) -> str:
    """`3d`, `5h`, `12m` or `40s`; empty where there is none, or the clocks do not agree."""
    from datetime import UTC, datetime

    try:
        seconds = int((datetime.now(UTC) - datetime.fromisoformat(created)).total_seconds())
    except (ValueError, TypeError):
        return ""
    return next((f"{seconds // size}{unit}" for size, unit in _UNITS if seconds >= size), "0s")


def failures(report: Report) -> None:
    """What is wrong now, and what is hardly meant: a block for each, since causes and hints are sentences."""
    warnings = [("warning: ", each) for each in report.items("warnings")]
    for lead, each in [*(("", each) for each in report.items("failures")), *warnings]:
        where = ": ".join(part for part in _fields(each, "file", "object", "field") if part)
        terminal.line("")
        terminal.line(f"{lead}{get_text(each, 'reason')}  {where}".rstrip())
        terminal.line(f"  {get_text(each, 'message')}")
        if get_text(each, "hint"):
            terminal.line(f"  hint: {get_text(each, 'hint')}")
        if get_text(each, "retryAt"):
            terminal.line(f"  next try: {get_text(each, 'retryAt')}")


def _section(headers: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    if rows:
        terminal.line("")
        terminal.table(headers, rows)


def _origin(files: str, folder: str) -> str:
    """The files of an object, and the overlay that they are in."""
    return f"{files} ({folder})" if folder else files


def _fields(tree: Object, *names: str) -> tuple[str, ...]:
    return tuple(get_text(tree, name) for name in names)


def _objects(report: Report) -> str:
    counts = get_object(report.status, "counts")
    if not counts:
        return ""
    bad = [
        f"{count} {name}"
        for name in ("held", "failed", "finished")
        if isinstance(count := counts.get(name), int) and count
    ]
    return ", ".join([_text(counts.get("total")), *bad])


def _text(value: Tree) -> str:
    return "" if value is None else str(value)
