"""What is wrong with an encrypted file, its keys or its rules."""

from __future__ import annotations

from agent.values.errors.inputs import InputError


class SopsError(InputError): ...


class SopsFormatError(SopsError):
    usual_hint = "restore the file from the commit that encrypted it"


class SopsKeyTypeError(SopsError): ...


class SopsEncryptError(SopsError):
    usual_hint = "write it in another way, such as in quotes"


class MacMismatchError(SopsError): ...


class SopsDecryptError(SopsError):
    usual_hint = "it was altered: restore the file from the commit that encrypted it"


class DataKeyError(SopsError):
    usual_hint = "check that the private key is available, and that the service that holds it can be reached"


class RecipientError(SopsError):
    usual_hint = "see --age, --pgp and the others in agent encrypt --help"


class NoMasterKeyError(SopsError):
    usual_hint = "name one with --age, --pgp or --hc-vault-transit, or write a .sops.yaml"


class UnsoundFileError(SopsError): ...


class LeftInClearError(SopsError): ...


class ClearValuesError(SopsError):
    usual_hint = "encrypt them too, or move them into a file without secrets"


class MergeError(SopsError):
    usual_hint = "keep one side: git checkout --ours or --theirs"


class AlreadyEncryptedError(SopsError): ...


class SopsRulesError(SopsError):
    usual_hint = "agent encrypt --help has a .sops.yaml that works"


class NoRuleError(SopsRulesError): ...


class EmptyDocumentError(SopsError):
    usual_hint = "there is nothing in it to encrypt"


class SetFormatError(SopsError): ...


class ExtractPathError(SopsError): ...


class NoSuchPlaceError(SopsError):
    usual_hint = "agent decrypt shows what there is"


class PlaceShapeError(SopsError):
    usual_hint = "agent decrypt shows what there is"


class MisfitError(PlaceShapeError): ...


class EncryptionContextError(SopsError): ...
