"""The last good state stays where the newest commit cannot be had, but never under the keys of another repository."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from agent.api import application as applications
from agent.desired.compiler import DesiredState
from agent.engine import commits
from agent.engine.record import ApplicationRecord
from agent.engine.state import Compiled, State
from agent.values.errors import SourceUnavailableError
from agent.values.ids import Revision
from agent.values.problems import Problem

if TYPE_CHECKING:
    from agent.engine.context import Run
    from agent.manifests.kinds import Kinds

GRANTED = "https://git.example.com/granted.git"
OTHER = "https://git.example.com/other.git"


@pytest.mark.parametrize(("repository", "stays"), [(GRANTED, True), (OTHER, False), ("", False)])
async def test_what_was_read_from_one_repository_is_not_opened_as_another(repository: str, stays: bool) -> None:
    """The operator grants keys to a repository: an Application that is pointed at it later opens nothing that it read before."""
    spec = {"source": {"url": GRANTED, "revision": {"branch": "gone"}}}
    application = applications.parse(
        {
            "apiVersion": "signet-gitops.dev/v1alpha1",
            "kind": "Application",
            "metadata": {"name": "web", "namespace": "shop", "uid": "u", "generation": 2},
            "spec": spec,
        }
    )
    known = DesiredState(Revision("1" * 40, "main", "dev", 0), {}, repository=repository)
    ledger = SimpleNamespace(record=ApplicationRecord())
    run = cast("Run", SimpleNamespace(application=application, ledger=ledger, checks_source=False))
    state = State(Compiled(known, 1, "", {}, "1" * 40), unread=(Problem(SourceUnavailableError("away")),))
    _, found = await commits.last_good(run, state, cast("Kinds", None))
    assert (found is not None) == stays
