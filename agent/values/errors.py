"""Every error that a user can see, in one tree.

    AgentError
    ├── InputError                what somebody wrote is wrong; nothing is retried until it changes
    │   ├── YamlError             a file does not parse, or breaks a limit (file, line, column)
    │   ├── EmitError             a document has no form in the type of file asked for      4
    │   ├── SopsError             exit codes as the sops command's
    │   │   ├── SopsFormatError       metadata or a value is malformed                      1
    │   │   ├── SopsKeyTypeError      a key that is not a string                           23
    │   │   ├── SopsEncryptError      a value that the format cannot hold                  23
    │   │   ├── MacMismatchError      the file was altered after it was encrypted          51
    │   │   ├── SopsDecryptError      a value or the MAC does not open                     25
    │   │   ├── DataKeyError          no key opens the data key                           128
    │   │   │   └── WrapError             a data key cannot be wrapped for a recipient          1
    │   │   ├── NoMasterKeyError      nothing to encrypt for                                1
    │   │   ├── UnsoundFileError      found by verify: not what its own rule or .sops.yaml says     1
    │   │   ├── LeftInClearError      what encrypt would leave readable by mistake                  1
    │   │   ├── MergeError            versions of a file that cannot be merged                      1
    │   │   ├── AlreadyEncryptedError                                                     203
    │   │   ├── SopsRulesError        .sops.yaml is malformed                               1
    │   │   │   └── NoRuleError           none of its rules is for this path                1
    │   │   └── EmptyDocumentError                                                         92
    │   ├── ManifestError         a document is no manifest we can apply
    │   │   ├── DuplicateObjectError      one identity twice in a layer
    │   │   ├── UnsupportedManifestError  generateName, kustomization.yaml, Chart.yaml
    │   │   ├── ForeignNamespaceError     an object outside the destination
    │   │   └── UnknownKindError          the cluster does not serve this kind
    │   ├── SealedSecretError     a value of a SealedSecret does not open
    │   ├── ReferenceSyntaxError  a reference that cannot be read, or of a foreign tool
    │   ├── SinkError             a secret where no secret may stand
    │   ├── SecretValueError      a secret's value has not the form that was asked for
    │   └── LimitError            larger than the agent takes
    ├── SourceError               Git: the address, credential or revision is refused
    │   └── SourceUnavailableError    the server does not answer; retried
    ├── StoreError                Vault or OpenBao refuses, or has no such value
    │   ├── StoreDeniedError          403, or not allowed by the operator's file
    │   ├── StoreNotFoundError        no such mount, path, version or key
    │   ├── UnknownStoreError         a store that the operator did not configure
    │   └── StoreUnavailableError     sealed, down or slow; retried
    ├── ClusterError              the apiserver refuses
    │   ├── ObjectInvalidError        422, or a schema error
    │   ├── ImmutableFieldError       a field that only a new object can change
    │   ├── ForbiddenError            403
    │   ├── NotFoundError             404
    │   ├── FieldConflictError        409 of server-side apply: another manager owns a field
    │   ├── StaleObjectError          409: the object changed in between
    │   ├── ExpiredError              410: the watch must start anew
    │   └── ClusterUnavailableError   no answer, 429, 5xx; retried
    ├── OwnershipConflictError    an object that another Application owns
    ├── HeldError                 an object waits for something it needs
    ├── PruneRefusedError         a deletion that needs a person's word
    ├── AuditError                the audit trail cannot be written, or does not verify
    ├── LeaseLostError            another agent took over
    ├── DefectError               the agent itself is wrong
    ├── ConfigError               the agent's own settings, operator file or kubeconfig
    └── UsageError                the command line
        ├── ReadError                 an input cannot be read                            2
        ├── WriteError                an output cannot be written                        3
        ├── ConflictingFlagsError     flags that exclude one another                     8
        ├── SetFormatError            a path or value to set that is none                7
        ├── ExtractPathError          a path to extract that is none                    91
        ├── NotSupportedError         what sops does and the agent does not
        ├── CommandError              a command that cannot be run with secrets
        ├── NoSuchPlaceError          nothing stands at a path
        ├── PlaceShapeError           a path that asks for a list where there is none
        ├── KeyChangeError            keys changed in a file that there is not          49
        ├── FileMissingError          no file, or none named                           100
        ├── DecryptionOrderError      a kind of key twice                              112
        ├── UnchangedError            an edit that changed nothing                     200
        └── EditorError               no editor, or it failed                          201

Messages are literals and facts are known to be safe: no text of an exception, an answer or a value enters an error. Text that
comes from Git or a command line (paths, names) is a fact, and its control characters are escaped.
"""

from __future__ import annotations

from typing import ClassVar, LiteralString, Self, TypeAlias

from agent.values.ids import ObjectId
from agent.values.text import escape

Fact: TypeAlias = str | int | ObjectId


class AgentError(Exception):
    """A message that is a literal, facts that are known to be safe, and a hint of what to do."""

    exit_code: int = 1
    transient: ClassVar[bool] = False
    """Whether the same call may succeed later without anybody changing anything."""

    def __init__(self, message: LiteralString, *, hint: LiteralString = "", **facts: Fact) -> None:
        super().__init__(message)
        self.message: str = message
        self.hint: str = hint
        self.facts: dict[str, Fact] = facts

    @property
    def reason(self) -> str:
        """The class name without `Error`: what conditions, events and metrics call it."""
        return type(self).__name__.removesuffix("Error")

    def __str__(self) -> str:
        """One line: the thing, the cause, then what else is known."""
        facts = {name: escape(str(fact)) for name, fact in self.facts.items()}
        place = ":".join(facts.pop(name) for name in ("file", "line", "column") if name in facts)
        lead = [part for part in (place, facts.pop("object", ""), facts.pop("field", "")) if part]
        rest = ", ".join(f"{name} {fact}" for name, fact in facts.items())
        return ": ".join([*lead, self.message]) + (f" ({rest})" if rest else "")

    def copy(self) -> Self:
        """An error of its own that says the same: a traceback belongs to one raise."""
        copied = type(self).__new__(type(self), *self.args)
        vars(copied).update(vars(self))
        copied.facts = dict(self.facts)
        return copied

    def exiting(self, code: int) -> Self:
        """A copy with another exit code: sops has different ones for the same fault of different commands."""
        copied = self.copy()
        copied.exit_code = code
        return copied

    def with_facts(self, **facts: Fact) -> Self:
        """A copy that knows more: facts already there win. Errors are shared, by all objects of a file or users of a reference."""
        knowing = self.copy()
        knowing.facts = {**facts, **self.facts}
        return knowing


class InputError(AgentError):
    pass


class YamlError(InputError):
    exit_code = 2


class EmitError(InputError):
    exit_code = 4


class SopsError(InputError):
    pass


class SopsFormatError(SopsError): ...


class SopsKeyTypeError(SopsError):
    exit_code = 23


class SopsEncryptError(SopsError):
    exit_code = 23


class MacMismatchError(SopsError):
    exit_code = 51


class SopsDecryptError(SopsError):
    exit_code = 25


class DataKeyError(SopsError):
    exit_code = 128


class WrapError(DataKeyError):
    exit_code = 1


class NoMasterKeyError(SopsError): ...


class UnsoundFileError(SopsError):
    exit_code = 1


class LeftInClearError(SopsError):
    exit_code = 1


class MergeError(SopsError): ...


class AlreadyEncryptedError(SopsError):
    exit_code = 203


class SopsRulesError(SopsError):
    exit_code = 1


class NoRuleError(SopsRulesError):
    exit_code = 1


class EmptyDocumentError(SopsError):
    exit_code = 92


class ManifestError(InputError):
    pass


class DuplicateObjectError(ManifestError):
    pass


class UnsupportedManifestError(ManifestError):
    pass


class ForeignNamespaceError(ManifestError):
    pass


class UnknownKindError(ManifestError):
    pass


class SealedSecretError(InputError):
    pass


class ReferenceSyntaxError(InputError):
    pass


class SinkError(InputError):
    pass


class SecretValueError(InputError):
    pass


class LimitError(InputError):
    exit_code = 2


class SourceError(AgentError):
    pass


class SourceUnavailableError(SourceError):
    transient = True


class StoreError(AgentError):
    pass


class StoreDeniedError(StoreError):
    pass


class StoreNotFoundError(StoreError):
    pass


class UnknownStoreError(StoreError):
    pass


class StoreUnavailableError(StoreError):
    transient = True


class ClusterError(AgentError):
    pass


class ObjectInvalidError(ClusterError):
    pass


class ImmutableFieldError(ClusterError):
    pass


class ForbiddenError(ClusterError):
    pass


class NotFoundError(ClusterError):
    pass


class FieldConflictError(ClusterError):
    pass


class StaleObjectError(ClusterError):
    transient = True


class ExpiredError(ClusterError):
    transient = True


class ClusterUnavailableError(ClusterError):
    transient = True


class OwnershipConflictError(AgentError):
    pass


class HeldError(AgentError):
    pass


class PruneRefusedError(AgentError):
    pass


class AuditError(AgentError):
    pass


class LeaseLostError(AgentError):
    transient = True


class DefectError(AgentError):
    pass


class ConfigError(AgentError):
    exit_code = 2


class UsageError(AgentError):
    exit_code = 2


class ReadError(UsageError):
    exit_code = 2


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


class PlaceShapeError(UsageError):
    exit_code = 1


class KeyChangeError(UsageError):
    exit_code = 49


class FileMissingError(UsageError):
    exit_code = 100


class DecryptionOrderError(UsageError):
    exit_code = 112


class UnchangedError(UsageError):
    exit_code = 200


class EditorError(UsageError):
    exit_code = 201
