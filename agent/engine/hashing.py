"""Hashes that charts ask for: one that stands in the cluster is kept while it is of the same password, as in a release that is taken over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.engine import generating
from agent.manifests import hashed
from agent.values.hashing import Salts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.engine.context import Run
    from agent.manifests.kinds import Kinds
    from agent.values.expressions import Expressions
    from agent.values.ids import ObjectId
    from agent.values.secret import Secret


async def salts(run: Run, made: Mapping[ObjectId, Expressions], kinds: Kinds | None) -> Salts:
    """For what leaves of these objects are made of. An object that cannot be read as the Application has the hashes that the agent makes."""
    asking = [key for key, each in made.items() if hashed.asks(each)]
    live = await generating.standing(run, kinds, asking) if asking and kinds is not None else {}
    standing: dict[str, list[Secret]] = {}
    for tree in live.values():
        if isinstance(tree, dict):
            standing |= hashed.standing(tree)
    return Salts(run.fingerprints.applied, run.application_id.uid, standing)
