"""What a person gave the process: settings and command lines."""

from __future__ import annotations

from agent.values.errors.root import AgentError


class ConfigError(AgentError):
    usual_hint = "correct the file or setting that is named"


class UsageError(AgentError):
    usual_hint = "--help shows how the command is called"


class ReadError(UsageError): ...


class WriteError(UsageError): ...


class ConflictingFlagsError(UsageError): ...


class NotSupportedError(UsageError): ...


class CommandError(UsageError): ...


class SetFormatError(UsageError): ...


class ExtractPathError(UsageError): ...


class NoSuchPlaceError(UsageError):
    usual_hint = "agent decrypt shows what there is"


class PlaceShapeError(UsageError):
    usual_hint = "agent decrypt shows what there is"


class KeyChangeError(UsageError): ...


class FileMissingError(UsageError):
    usual_hint = "name it as seen from the working directory"


class DecryptionOrderError(UsageError): ...


class UnchangedError(UsageError):
    usual_hint = "nothing was written"


class EditorError(UsageError):
    usual_hint = "SOPS_EDITOR or EDITOR names it"
