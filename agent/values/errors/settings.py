"""What the operator gave the process, or the user to a command."""

from __future__ import annotations

from agent.values.errors.root import AgentError


class ConfigError(AgentError):
    usual_hint = "correct the file or setting that is named"
