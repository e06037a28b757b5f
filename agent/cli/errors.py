"""What is wrong with a command line, or with what it names: the errors of the commands. Their exit codes are in `exit_codes`.

    AgentError
    └── UsageError                the command line
        ├── ReadError                 an input cannot be read
        ├── WriteError                an output cannot be written
        ├── ConflictingFlagsError     flags that exclude one another
        ├── NotSupportedError         what sops does and the agent does not
        ├── CommandError              a command that cannot be run with secrets
        ├── KeyChangeError            keys changed in a file that there is not
        ├── FileMissingError          no file, or none named
        ├── DecryptionOrderError      a kind of key twice
        ├── UnchangedError            an edit that changed nothing
        ├── EditorError               no editor, or it failed
        └── PrivateKeyError           a private key where a repository is

Raise them as those of `agent.values.errors`: a literal message, safe facts.
"""

from __future__ import annotations

from agent.values.errors import AgentError


class UsageError(AgentError):
    usual_hint = "--help shows how the command is called"


class ReadError(UsageError): ...


class WriteError(UsageError): ...


class ConflictingFlagsError(UsageError): ...


class NotSupportedError(UsageError): ...


class CommandError(UsageError): ...


class KeyChangeError(UsageError): ...


class FileMissingError(UsageError):
    usual_hint = "name it as seen from the working directory"


class DecryptionOrderError(UsageError): ...


class UnchangedError(UsageError):
    usual_hint = "nothing was written"


class EditorError(UsageError):
    usual_hint = "SOPS_EDITOR or EDITOR names it"


class PrivateKeyError(UsageError):
    usual_hint = "take it out of the repository and replace it: the history of Git keeps it"
