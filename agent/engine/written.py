"""What came of an apply: the object as it stands now, what of it was put right, and whose doing that was."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

from agent.api import names
from agent.engine import adopting
from agent.engine.assembling import applied_as
from agent.engine.causes import Cause
from agent.engine.results import Answer, Result
from agent.manifests import diff, fields
from agent.values.text import MOST, excerpts
from agent.values.tree import show_path

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.engine.changes import Step
    from agent.engine.context import Run
    from agent.engine.live import LiveFact
    from agent.manifests.people import Removed
    from agent.values.tree import Object


def result(  # noqa: PLR0917  # what was sent, over what, and what was answered
    run: Run, step: Step, action: str, now: LiveFact, answer: Object, old: Object | None, stood: str
) -> Result:
    """What came of an apply over `old`, which was met at the version `stood`."""
    left = {path: why for path, why in step.left.items() if any(path == each.path for each in now.additions)}
    record = applied_as(step.assembled, uid=now.uid, owned_digest=now.owned_digest, left=left)
    removed = adopting.takeover(run, step, old).removed(old) if old is not None else ()
    changed = Answer.OK if now.resource_version != stood or removed else Answer.UNCHANGED
    done = Result(step.assembled.id, action, None, replace(now, object=None), record, answer=changed)
    return explained(done, old if removed or step.cause == Cause.EDIT else None, answer, removed)


def explained(done: Result, before: Object | None, after: Object, removed: Sequence[Removed] = ()) -> Result:
    """What was put right, `removed` of it what people had added, and whose doing it was; nothing of what is no heal, or was not kept as it was found."""
    if before is None:
        return done
    places = [each.place for each in removed]
    found = islice(diff.compare(before, after), MOST + 1)
    changed = [change.path for change in found if change.path and change.path not in places]
    writer = fields.last_writer(before, places or changed, besides=names.FIELD_MANAGER)
    paths = [each.path for each in removed]
    texts = excerpts((*paths, *map(show_path, changed)), counted=False)
    return replace(done, fields=texts, writer=writer, removed=excerpts(paths))
