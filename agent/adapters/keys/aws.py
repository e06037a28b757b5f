"""Data keys through AWS KMS, by botocore: credentials come from where every AWS tool takes them.

Environment, profiles (with single sign-on, processes and roles), containers and instances; AWS_ENDPOINT_URL_KMS and
AWS_ENDPOINT_URL_STS for other addresses. The region is the ARN's, as for sops.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
import socket
import sys
from typing import TYPE_CHECKING, Any, LiteralString

from agent.adapters.keys.credential import data_key_bytes
from agent.adapters.keys.remote import silence, within_deadline
from agent.sops.format.keys import KmsKey, KmsRecipient
from agent.values.errors import DataKeyError
from agent.values.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.sops.format.keys import Recipient, WrappedKey

_ARN = re.compile(r"arn:aws[a-z-]*:kms:(?P<region>[a-z0-9-]+):[0-9]+:(?:key|alias)/[^\s]+")
_ROLE = re.compile(r"arn:aws[a-z-]*:iam::[0-9]+:role/[^\s]+")
_NOT_OF_A_SESSION_NAME = re.compile(r"[^a-zA-Z0-9=,.@_]+")
_CONNECT_SECONDS = 5
_READ_SECONDS = 10
_ATTEMPTS = 2

_DENIED: LiteralString = "AWS denies the use of this KMS key"
_NOT_THIS_KEY: LiteralString = "this KMS key did not make the wrapped key, or not in this encryption context"
_NOT_ACCEPTED: LiteralString = "AWS does not accept the credentials"
_EXPIRED: LiteralString = "the AWS credentials have expired"
_UNUSABLE: LiteralString = "the KMS key is disabled, or waits for its deletion or its material"
_BUSY: LiteralString = "AWS is too busy"
_REASONS: dict[str, LiteralString] = {
    "AccessDeniedException": _DENIED,
    "AccessDenied": "AWS denies the role",
    "NotFoundException": "no such KMS key in its region",
    "DisabledException": _UNUSABLE,
    "KMSInvalidStateException": _UNUSABLE,
    "KeyUnavailableException": _UNUSABLE,
    "InvalidKeyUsageException": "the KMS key is not one for encryption",
    "InvalidCiphertextException": _NOT_THIS_KEY,
    "IncorrectKeyException": _NOT_THIS_KEY,
    "UnrecognizedClientException": _NOT_ACCEPTED,
    "InvalidClientTokenId": _NOT_ACCEPTED,
    "InvalidSignatureException": _NOT_ACCEPTED,
    "SignatureDoesNotMatch": _NOT_ACCEPTED,
    "IncompleteSignature": _NOT_ACCEPTED,
    "MissingAuthenticationToken": _NOT_ACCEPTED,
    "ExpiredTokenException": _EXPIRED,
    "ExpiredToken": _EXPIRED,
    "RequestExpired": _EXPIRED,
    "ThrottlingException": _BUSY,
    "Throttling": _BUSY,
    "LimitExceededException": _BUSY,
    "DependencyTimeoutException": _BUSY,
    "KMSInternalException": _BUSY,
}
"""By the error code of KMS or STS: docs.aws.amazon.com/kms/latest/APIReference/CommonErrors.html and API_Decrypt.html."""


_NOT_RETRIEVED: LiteralString = "the AWS credentials cannot be retrieved"
_SIGNED_OUT: tuple[LiteralString, LiteralString] = ("the AWS sign-in has expired", "aws sso login")
_PROBLEMS: dict[str, tuple[LiteralString, LiteralString]] = {
    "ProfileNotFound": ("no such profile in the AWS files", ""),
    "NoCredentialsError": ("no AWS credentials", "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"),
    "SSOError": _SIGNED_OUT,
    "TokenRetrievalError": _SIGNED_OUT,
    "CredentialRetrievalError": (_NOT_RETRIEVED, ""),
    "PartialCredentialsError": (_NOT_RETRIEVED, ""),
    "MetadataRetrievalError": (_NOT_RETRIEVED, ""),
    "SSLError": ("the server's certificate is not trusted", ""),
    "ConnectionError": ("AWS does not answer", ""),
    "HTTPClientError": ("AWS does not answer", ""),
}
"""By the class of botocore's exception, or one of its bases."""


class AwsKeys:
    """Keys of AWS KMS, with whatever credentials the key's profile or the environment gives."""

    def __init__(self) -> None:
        self._clients: dict[tuple[str, str, str], Any] = {}

    def unwrap(self, key: WrappedKey) -> Secret:
        """Raises DataKeyError."""
        if not isinstance(key, KmsKey):
            raise DataKeyError("not an AWS KMS key")
        try:
            blob = base64.b64decode(key.enc, validate=True)
        except (binascii.Error, ValueError):
            raise DataKeyError("the wrapped key is damaged") from None
        answer = self._call(
            key,
            lambda client: client.decrypt(KeyId=key.arn, CiphertextBlob=blob, EncryptionContext=dict(key.context)),
        )
        return Secret(_bytes(answer, "Plaintext"), f"data key by kms {key.arn}")

    def wrap(self, recipient: Recipient, data_key: Secret, *, created_at: str) -> KmsKey:
        """Raises DataKeyError."""
        if not isinstance(recipient, KmsRecipient):
            raise DataKeyError("not an AWS KMS recipient")
        plaintext = data_key_bytes(data_key)
        context = dict(recipient.context)
        try:
            answer = self._call(
                recipient,
                lambda client: client.encrypt(KeyId=recipient.arn, Plaintext=plaintext, EncryptionContext=context),
            )
            enc = base64.b64encode(_bytes(answer, "CiphertextBlob")).decode()
        except DataKeyError as error:
            raise error.with_facts(recipient=recipient.arn) from None
        return KmsKey(recipient.arn, recipient.role, recipient.context, recipient.aws_profile, created_at, enc)

    def _call(self, key: KmsKey | KmsRecipient, request: Callable[[Any], Any]) -> Any:
        """What one request to KMS gives. Raises DataKeyError, also where the SDK itself fails."""
        arn = _ARN.fullmatch(key.arn)
        if arn is None:
            raise DataKeyError("not the ARN of a KMS key", hint="it has the form arn:aws:kms:REGION:ACCOUNT:key/ID")
        if key.role and not _ROLE.fullmatch(key.role):
            raise DataKeyError("not the ARN of a role", hint="it has the form arn:aws:iam::ACCOUNT:role/NAME")
        try:
            # Late, because it is large, and an extra.
            import botocore  # noqa: F401  # pyright: ignore[reportMissingTypeStubs, reportUnusedImport]
        except ImportError:
            raise DataKeyError("AWS KMS keys need the aws extra", hint="pip install 'signet[aws]'") from None
        silence("botocore", "urllib3")
        wanted = (key.aws_profile, key.role, arn["region"])
        try:
            if wanted not in self._clients:
                # Not within the deadline: a profile may ask for a code of an MFA device.
                session = _session(key.aws_profile)
                self._clients[wanted] = within_deadline(lambda: _client(session, key.role, arn["region"]))
            return within_deadline(lambda: request(self._clients[wanted]))
        except DataKeyError:
            raise
        except Exception as error:  # noqa: BLE001  # of the SDK, of a file of the user's, or of any credential provider
            reason, hint = _why(error)
        raise DataKeyError(reason, hint=hint)


def _bytes(answer: Any, field: str) -> bytes:
    found: object = answer.get(field) if isinstance(answer, dict) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    if not isinstance(found, bytes) or not found:
        raise DataKeyError("the server's answer is not AWS KMS's")
    return found


def _why(error: Exception) -> tuple[LiteralString, LiteralString]:
    """Reason and hint, of an answer by its code, of anything else by its class."""
    names = [each.__name__ for each in type(error).__mro__]
    if "ClientError" in names:
        return _REASONS.get(_code(error), "AWS refuses"), ""
    return next(
        (_PROBLEMS[name] for name in names if name in _PROBLEMS),
        ("the AWS configuration is not usable", "aws sts get-caller-identity says more"),
    )


def _code(error: Any) -> str:
    code: object = error.response.get("Error", {}).get("Code")
    return code if isinstance(code, str) else ""


def _session(profile: str) -> Any:
    """A session that has its credentials. A profile goes before keys of the environment, as for sops."""
    import botocore.session  # pyright: ignore[reportMissingTypeStubs]
    from botocore import awsrequest  # pyright: ignore[reportMissingTypeStubs]
    from botocore.config import Config  # pyright: ignore[reportMissingTypeStubs]
    from botocore.exceptions import NoCredentialsError  # pyright: ignore[reportMissingTypeStubs]

    from agent.adapters.bounds import answers

    # For every client of it, those that fetch credentials too. It decodes nothing.
    for connection in (awsrequest.AWSHTTPConnection, awsrequest.AWSHTTPSConnection):
        connection.response_class = answers.Response
    session: Any = botocore.session.Session(
        profile=profile or os.environ.get("AWS_PROFILE") or os.environ.get("AWS_DEFAULT_PROFILE")
    )
    session.set_default_client_config(
        Config(
            connect_timeout=_CONNECT_SECONDS,
            read_timeout=_READ_SECONDS,
            retries={"total_max_attempts": _ATTEMPTS, "mode": "standard"},
        )
    )
    if "mfa_serial" in session.get_scoped_config() and not sys.stdin.isatty():
        raise DataKeyError("the AWS profile asks for an MFA code, and there is no terminal")
    credentials = session.get_credentials()
    if credentials is None:
        raise NoCredentialsError
    credentials.get_frozen_credentials()
    return session


def _client(session: Any, role: str, region: str) -> Any:
    if not role:
        return session.create_client("kms", region_name=region)
    sts = session.create_client("sts", region_name=region)
    name = "sops@" + _NOT_OF_A_SESSION_NAME.sub("", socket.gethostname())
    assumed = sts.assume_role(RoleArn=role, RoleSessionName=name[:64])["Credentials"]
    return session.create_client(
        "kms",
        region_name=region,
        aws_access_key_id=assumed["AccessKeyId"],
        aws_secret_access_key=assumed["SecretAccessKey"],
        aws_session_token=assumed["SessionToken"],
    )
