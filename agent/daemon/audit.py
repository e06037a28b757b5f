"""The agent's own audit trail: where its chain goes on, where its anchor is kept, and what happens where it cannot be written."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from agent.adapters.audit import anchor as anchors
from agent.adapters.audit.trail import open_trail
from agent.adapters.kubernetes.resources import CONFIG_MAP
from agent.values.errors import AuditError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from agent.adapters.audit.anchor import Anchor
    from agent.adapters.audit.credential import Signer
    from agent.adapters.audit.trail import AuditTrail
    from agent.adapters.kubernetes.cluster import Home
    from agent.api.audit import AuditSettings
    from agent.engine.ports import AuditEntry

LOG = logging.getLogger("signet")
_STANDARD_OUTPUT = 1


async def trail(
    settings: AuditSettings, home: Home, *, agent: str, namespace: str, signer: Signer, clock: Callable[[], float]
) -> AuditTrail:
    """The trail as the operator's file has it, anchored in a ConfigMap of the agent's namespace. `clock` gives Unix seconds."""

    async def keep(anchor: Anchor) -> None:
        await home.apply(CONFIG_MAP, anchor.config_map(namespace))

    stored = await home.get(CONFIG_MAP, namespace, anchors.name(agent))
    return await open_trail(
        agent=agent,
        signer=signer,
        clock=clock,
        keep=keep,
        file=Path(settings.file) if settings.file else None,
        stream=_STANDARD_OUTPUT if settings.stdout else None,
        anchor=anchors.parse(stored) if stored is not None else None,
    )


@dataclass(frozen=True, slots=True)
class Lenient:
    """AuditPort for operators who would rather go on without a record than stop: what cannot be written is logged."""

    trail: AuditTrail

    async def write(self, entries: Iterable[AuditEntry]) -> None:
        """Never raises AuditError."""
        try:
            await self.trail.write(entries)
        except AuditError as error:
            LOG.error("the audit trail cannot be written", extra={"cause": error.message})  # noqa: TRY400

    async def checkpoint(self, run: str) -> None:
        """Never raises AuditError."""
        try:
            await self.trail.checkpoint(run)
        except AuditError as error:
            LOG.error("the audit trail cannot be signed", extra={"cause": error.message})  # noqa: TRY400
