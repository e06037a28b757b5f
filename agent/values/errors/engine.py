"""What the engine found of its own work: ownership, deletions, the audit trail, leases, defects."""

from __future__ import annotations

from agent.values.errors.root import AgentError


class OwnershipConflictError(AgentError): ...


class HeldError(AgentError): ...


class WaitsError(HeldError):
    """Why a commit may not run now. It ends by itself: nothing is wrong with the Application."""


class DependencyNotReadyError(WaitsError): ...


class PruneRefusedError(AgentError): ...


class AdditionsError(AgentError): ...


class FightError(AgentError): ...


class AuditError(AgentError): ...


class LeaseLostError(AgentError):
    transient = True


class DefectError(AgentError): ...
