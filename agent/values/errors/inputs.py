"""User input that is wrong, outside the SOPS format."""

from __future__ import annotations

from agent.values.errors.root import AgentError


class InputError(AgentError): ...


class YamlError(InputError):
    usual_hint = "correct it there, or restore the file from Git"


class EmitError(InputError):
    usual_hint = "name another --output-type, such as yaml"


class LimitError(InputError):
    usual_hint = "split the file"
