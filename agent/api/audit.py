"""The audit trail: a part of the operator's file."""

from __future__ import annotations

from agent.api.fields import FilePath
from agent.api.model import Model


class AuditSettings(Model):
    """The audit trail. It always goes to standard output too."""

    file: FilePath | None = None
    """File to append to, on a volume that outlives the agent."""
    required: bool = True
    """Whether a record that cannot be written stops applying."""
    stdout: bool = True
    """Whether every record is a line of standard output too."""
