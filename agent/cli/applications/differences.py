"""What `agent diff` shows: each object once, as the change set has it, with the fields that differ, as a table or as JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from agent.api.status import Failure
from agent.cli import terminal
from agent.cli.applications import desired
from agent.values.problems import Problem
from agent.values.text import counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from agent.cli.applications.applied import Applied
    from agent.cli.applications.comparison import Difference
    from agent.cli.applications.preview import Preview
    from agent.cli.applications.worktree import Target
    from agent.desired.compiler import DesiredState
    from agent.manifests.diff import Line
    from agent.values.errors import AgentError
    from agent.values.ids import ObjectId
    from agent.values.tree import Tree

_HEADERS = ("ACTION", "OBJECT", "FIELD", "LIVE", "WANTED", "WAVE", "CAUSE")
_AS_IS = frozenset({"create", "run", "prune", "conflict", "hold", "keep"})
_DIFFERING = frozenset({"create", "run", "change", "replace", "prune", "roll", "keep"})


class Differences:
    """`problems` are those that no object of the change set has. `why_not`: why it is not known what was applied last."""

    def __init__(
        self,
        state: DesiredState,
        found: Sequence[Difference],
        shown: Preview,
        applied: Applied,
        problems: Sequence[Problem],
        *,
        why_not: str,
    ) -> None:
        self.state = state
        self.changes = {each.object: each for each in shown.changes}
        self.found = {each.id: each for each in found}
        self.objects = [*dict.fromkeys((*self.changes, *self.found))]
        self._guessed = shown.guessed
        self._why_not = why_not
        self._overlooked = shown.overlooked
        self._replaced = shown.replaced
        self._finished = shown.finished
        self._hooks = [
            step.assembled.id for step in shown.changes.steps if step.hooked is not None and applied.record.revision
        ]
        self._applied = applied
        refused = [(each.object, each.error) for each in self.changes.values() if each.wave is not None]
        unread = [(each.id, each.error) for each in found if each.action == "unknown"]
        files = {key: ", ".join(item.files) for key, item in state.everything.items()}
        failed = [Problem(error, key, files[key]) for key, error in (*refused, *unread) if error is not None]
        self.problems = (*problems, *failed)

    def action(self, key: ObjectId) -> str:
        """`change` covers what the agent calls update, rotate, heal and adopt."""
        change, found = self.changes.get(key), self.found.get(key)
        if change is None:
            return found.action if found is not None and found.action in {"left", "unknown"} else "same"
        if change.action == "leave":
            return "left"
        if change.error is None and found is not None:
            if key in self._replaced:
                return "replace"
            if change.rolled and found.action == "same":
                return "roll"
            if found.live is None:
                return "create"
        return change.action if change.action in _AS_IS else "change"

    def cause(self, key: ObjectId) -> str:
        """Why the agent applies an object; empty where it does not, or there is no Application."""
        change = self.changes.get(key)
        if change is None or change.cause is None or not self._applied.known:
            return ""
        return "unknown" if key in self._guessed else str(change.cause)

    def unknown_fields(self, key: ObjectId) -> list[tuple[str, tuple[str, ...]]]:
        found = self.found.get(key)
        return list(found.unknown.items()) if found is not None else []

    @property
    def differing(self) -> int:
        return sum(self.action(key) in _DIFFERING for key in self.objects)

    @property
    def unknown(self) -> tuple[str, ...]:
        """What the user may not read, and what it leaves open."""
        also: list[str] = []
        if self._guessed:
            also.append(f"{self._why_not}, so whether a commit or a live edit is the cause is not known")
        unread = any(each.unknown or each.action == "unknown" for each in self.found.values())
        if unread and any(each.action == "prune" for each in self.changes.values()):
            also.append("whether a value that was not read holds its object: then nothing is deleted")
        if self._overlooked:
            also.append(
                "whether another Application has kinds that this one has no more: then the agent deletes"
                f" {counted(len(self._overlooked), 'object')} with this one's label"
            )
        also += (
            f"{key} has run and is gone: whether the tree changes it, and so runs it again" for key in self._finished
        )
        also += (
            f"whether {key} ran for this before, values included: then it does not run again" for key in self._hooks
        )
        return (*self._applied.unknown, *also)


def show(diff: Differences, target: Target, output: str) -> int:
    """Show it all; the exit code."""
    if output != "table":
        terminal.write_data(_as_json(diff), output)
    else:
        terminal.table(_HEADERS, [row for key in diff.objects for row in _rows(diff, key)])
    for note in _notes(diff, target):
        terminal.note(note)
    count = desired.report(diff.problems)
    if output == "table":
        more = f", {counted(count, 'problem')}" if count else ""
        differ = "differs" if diff.differing == 1 else "differ"
        terminal.note(f"{counted(len(diff.found), 'object')} compared, {diff.differing} {differ}{more}")
    return 2 if diff.problems else 1 if diff.differing else 0


def tell_nothing(problems: Sequence[Problem], output: str) -> int:
    """Nothing of such a commit is applied, and the one before is healed; the exit code."""
    if output != "table":
        terminal.write_data({"commit": "", "objects": [], "problems": _failures(problems), "unknown": []}, output)
    desired.report(problems)
    return 2


def _failures(problems: Sequence[Problem]) -> list[dict[str, object]]:
    return [
        Failure.of(problem.error, object=str(problem.object or ""), file=problem.file).model_dump(mode="json")
        for problem in problems
    ]


def _notes(diff: Differences, target: Target) -> Iterator[str]:
    spec = target.application.spec if target.application else None
    if any(each.adopted for each in diff.found.values()):
        yield "adopted objects: fields that other tools applied and the tree lacks go away, which is not shown"
    denied = {problem.error.facts.get("reference") for problem in diff.problems}
    unknown = sum(
        any(str(reference) not in denied for reference in references)
        for each in diff.found.values()
        for references in each.unknown.values()
    )
    if unknown:
        yield f"{counted(unknown, 'field', 'was')} not compared: give --vault-store NAME=URL for their stores"
    waiting = [key for key, change in diff.changes.items() if change.action == "keep"]
    if waiting and not diff.state.incomplete and not diff.state.revision.commit:
        yield (
            f"{counted(len(waiting), 'object', 'waits')} for a confirmation, which names a commit, and this work tree is none yet: commit"
            " it, then run agent sync --confirm-prune with what agent status shows behind confirm"
        )
    if spec is not None and not spec.prune:
        yield "spec.prune is false: the agent deletes nothing"
    if spec is not None and spec.suspend:
        yield "spec.suspend is set: the agent does nothing of this until it is taken away"
    elif spec is not None and spec.sync.mode == "detect":
        yield "spec.sync.mode is detect: the agent reports this and writes nothing"
    yield from (f"not known: {each}" for each in diff.unknown)


def _rows(diff: Differences, key: ObjectId) -> list[tuple[object, ...]]:
    action, change, found = diff.action(key), diff.changes.get(key), diff.found.get(key)
    wave, cause = ("" if change is None or change.wave is None else change.wave), diff.cause(key)
    lines = found.lines if found is not None and action == "change" else ()
    rows: list[tuple[object, ...]] = [
        (action, key, line["path"], _value(line["before"]), _after(line), wave, cause) for line in lines
    ]
    if not rows and action not in {"same", "left"}:
        error = _error(diff, key)
        rows.append((action, key, error.message if error is not None else "", "", "", wave, cause))
    if change is not None and change.rolled and action != "roll":
        rows.append(("roll", key, "", "", "", wave, cause))
    rows += [("unknown", key, path, "", " ".join(references), "", "") for path, references in diff.unknown_fields(key)]
    return rows


def _error(diff: Differences, key: ObjectId) -> AgentError | None:
    """Why an object stays as it is, or could not be compared."""
    change, found = diff.changes.get(key), diff.found.get(key)
    if change is not None:
        return change.error
    return found.error if found is not None else None


def _after(line: Line) -> str:
    return f"(added by {line['manager']})" if "manager" in line else _value(line["after"])


def _value(tree: Tree) -> str:
    return "" if tree is None else json.dumps(tree, ensure_ascii=False)


def _as_json(diff: Differences) -> dict[str, object]:
    return {
        "commit": diff.state.revision.commit,
        "objects": [_object(diff, key) for key in diff.objects],
        "problems": _failures(diff.problems),
        "unknown": list(diff.unknown),
    }


def _object(diff: Differences, key: ObjectId) -> dict[str, object]:
    change, found, error = diff.changes.get(key), diff.found.get(key), _error(diff, key)
    return {
        "object": str(key),
        "group": key.group,
        "kind": key.kind,
        "namespace": key.namespace,
        "name": key.name,
        "action": diff.action(key),
        "cause": diff.cause(key),
        "wave": change.wave if change is not None else None,
        "fields": list(found.lines) if found is not None else [],
        "unknown": [{"path": path, "references": list(references)} for path, references in diff.unknown_fields(key)],
        "ignored": list(found.ignored) if found is not None else [],
        "adopted": found is not None and found.adopted,
        "rolls": change is not None and change.rolled,
        "reason": error.reason if error is not None else "",
        "message": error.message if error is not None else "",
        "hint": error.hint if error is not None else "",
    }
