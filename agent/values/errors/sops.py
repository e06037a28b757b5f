"""What is wrong with an encrypted file, its keys or its rules: exit codes as the sops command's."""

from __future__ import annotations

from agent.values.errors.inputs import InputError


class SopsError(InputError): ...


class SopsFormatError(SopsError):
    usual_hint = "restore the file from the commit that encrypted it"


class SopsKeyTypeError(SopsError):
    exit_code = 23


class SopsEncryptError(SopsError):
    exit_code = 23
    usual_hint = "write it in another way, such as in quotes"


class MacMismatchError(SopsError):
    exit_code = 51


class SopsDecryptError(SopsError):
    exit_code = 25
    usual_hint = "it was altered: restore the file from the commit that encrypted it"


class DataKeyError(SopsError):
    exit_code = 128
    usual_hint = "see that the key is at hand, and that whoever keeps it answers"


class RecipientError(SopsError):
    usual_hint = "see --age, --pgp and the others in agent encrypt --help"


class NoMasterKeyError(SopsError):
    usual_hint = "name one with --age, --pgp or --hc-vault-transit, or write a .sops.yaml"


class UnsoundFileError(SopsError): ...


class LeftInClearError(SopsError): ...


class ClearValuesError(SopsError):
    usual_hint = "encrypt them too, or move them into a file without secrets"


class MergeError(SopsError):
    usual_hint = "take one of the sides, with git checkout --ours or --theirs"


class AlreadyEncryptedError(SopsError):
    exit_code = 203


class SopsRulesError(SopsError):
    usual_hint = "agent encrypt --help has a .sops.yaml that works"


class NoRuleError(SopsRulesError): ...


class EmptyDocumentError(SopsError):
    exit_code = 92
    usual_hint = "there is nothing in it to encrypt"
