"""What is wrong with an encrypted file, its keys or its rules: exit codes as the sops command's."""

from __future__ import annotations

from agent.values.errors.inputs import InputError


class SopsError(InputError): ...


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


class RecipientError(SopsError): ...


class NoMasterKeyError(SopsError): ...


class UnsoundFileError(SopsError): ...


class LeftInClearError(SopsError): ...


class MergeError(SopsError): ...


class AlreadyEncryptedError(SopsError):
    exit_code = 203


class SopsRulesError(SopsError): ...


class NoRuleError(SopsRulesError): ...


class EmptyDocumentError(SopsError):
    exit_code = 92
