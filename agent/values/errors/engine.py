"""What the engine found of its own work: ownership, deletions, the audit trail, leases, defects."""

from __future__ import annotations

from typing import Self

from agent.values.errors.root import AgentError


class OwnershipConflictError(AgentError): ...


class HeldError(AgentError): ...


class GeneratedValueLostError(HeldError): ...


class RecoveryNeededError(HeldError): ...


class WaitsError(HeldError):
    """Why a commit may not run now. It ends by itself: nothing is wrong with the Application."""

    until: float | None = None
    """When to ask again, in Unix seconds, where that is known."""

    def ending(self, at: float) -> Self:
        """A copy that ends by itself then, in Unix seconds."""
        copied = self.copy()
        copied.until = at
        return copied


class DependencyNotReadyError(WaitsError): ...


class SyncWindowError(WaitsError): ...


class HookFailedError(AgentError): ...


class HelmReleaseLeftError(AgentError): ...


class PruneRefusedError(AgentError): ...


class AdditionsError(AgentError): ...


class FightError(AgentError): ...


class AuditError(AgentError): ...


class LeaseLostError(AgentError):
    transient = True


class DefectError(AgentError): ...
