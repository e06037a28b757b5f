"""What the engine found of its own work: ownership, deletions, the audit trail, leases, defects."""

from __future__ import annotations

from agent.values.errors.root import AgentError


class OwnershipConflictError(AgentError): ...


class HeldError(AgentError): ...


class PruneRefusedError(AgentError): ...


class AdditionsError(AgentError): ...


class FightError(AgentError): ...


class AuditError(AgentError): ...


class LeaseLostError(AgentError):
    transient = True


class DefectError(AgentError): ...
