"""What a person gave the process: settings and command lines."""

from __future__ import annotations

from agent.values.errors.root import AgentError


class ConfigError(AgentError):
    exit_code = 2
    usual_hint = "correct the file or setting that is named"


class UsageError(AgentError):
    exit_code = 2
    usual_hint = "--help shows how the command is called"


class ReadError(UsageError): ...


class WriteError(UsageError):
    exit_code = 3


class ConflictingFlagsError(UsageError):
    exit_code = 8


class NotSupportedError(UsageError):
    exit_code = 1


class CommandError(UsageError):
    exit_code = 1


class SetFormatError(UsageError):
    exit_code = 7


class ExtractPathError(UsageError):
    exit_code = 91


class NoSuchPlaceError(UsageError):
    exit_code = 1
    usual_hint = "agent decrypt shows what there is"


class PlaceShapeError(UsageError):
    exit_code = 1
    usual_hint = "agent decrypt shows what there is"


class KeyChangeError(UsageError):
    exit_code = 49


class FileMissingError(UsageError):
    exit_code = 100
    usual_hint = "name it as seen from the working directory"


class DecryptionOrderError(UsageError):
    exit_code = 112


class UnchangedError(UsageError):
    exit_code = 200
    usual_hint = "nothing was written"


class EditorError(UsageError):
    exit_code = 201
    usual_hint = "SOPS_EDITOR or EDITOR names it"
