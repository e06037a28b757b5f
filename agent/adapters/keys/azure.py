"""Data keys through Azure Key Vault and Managed HSM: RSA-OAEP-256, by Microsoft's own clients.

Credentials are those that Azure's libraries find by default, as for sops: environment, workload and managed identity, command lines.
A token goes only to a vault whose address is under the domain for which it was issued; the client sees to that.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING, Any, LiteralString

from agent.adapters.keys.credential import data_key_bytes
from agent.adapters.keys.remote import silence, within_deadline
from agent.sops.format.keys import AzureKey, AzureRecipient, name_of
from agent.values.errors import DataKeyError
from agent.values.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from agent.sops.format.keys import Recipient, WrappedKey

_VAULT = re.compile(r"https://([A-Za-z0-9.-]+)(?::([0-9]+))?/?")
_DOMAINS = (
    ".vault.azure.net",
    ".vault.azure.cn",
    ".vault.usgovcloudapi.net",
    ".vault.microsoftazure.de",
    ".managedhsm.azure.net",
    ".managedhsm.azure.cn",
    ".managedhsm.usgovcloudapi.net",
)
"""Of Azure's clouds. A vault elsewhere, such as an emulator, is asked where the user names it."""
_NAME = re.compile(r"[0-9A-Za-z-]+")
_CONNECT_SECONDS = 5
_READ_SECONDS = 10
_RETRIES = 1

_REASONS: dict[int, LiteralString] = {
    400: "this key did not make the wrapped key, or it is not one for RSA-OAEP-256",
    401: "the vault does not accept the credentials",
    403: "Azure denies the use of this key, or it is disabled",
    404: "no such key, or version of it, in the vault",
    429: "Azure is too busy",
    503: "Azure is too busy",
}
_SILENT: LiteralString = "the vault, or Azure's sign-in, does not answer"
_PROBLEMS: dict[str, LiteralString] = {
    "ClientAuthenticationError": "Azure accepts none of the available credentials",
    "ServiceRequestError": _SILENT,
    "ServiceResponseError": _SILENT,
    "IncompleteReadError": _SILENT,
}
"""By the class of the exception, or one of its bases."""


class AzureKeys:
    """Keys of Azure Key Vault, with the credentials of the environment.

    `named` are the vaults that the user named: `https://vault.example.com`. A file may name others in Azure's own domains only.
    """

    def __init__(self, named: Collection[str] = ()) -> None:
        self._credential: Any = None
        self._named = {url.rstrip("/").lower() for url in named}

    def unwrap(self, key: WrappedKey) -> Secret:
        """Raises DataKeyError."""
        if not isinstance(key, AzureKey):
            raise DataKeyError("not an Azure Key Vault key")
        try:
            wrapped = base64.b64decode(key.enc + "=" * (-len(key.enc) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raise DataKeyError("the wrapped key is damaged") from None
        opened = self._call(key, lambda client, algorithm: client.decrypt(algorithm, wrapped).plaintext)
        if not isinstance(opened, bytes) or not opened:
            raise DataKeyError("the server's answer is not Azure Key Vault's")
        return Secret(opened, f"data key by azure_kv {key.vault_url}/keys/{key.name}")

    def wrap(self, recipient: Recipient, data_key: Secret, *, created_at: str) -> AzureKey:
        """The key names its version, also where the recipient names none. Raises DataKeyError."""
        if not isinstance(recipient, AzureRecipient):
            raise DataKeyError("not an Azure Key Vault recipient")
        plaintext = data_key_bytes(data_key)
        try:
            made = self._call(recipient, lambda client, algorithm: client.encrypt(algorithm, plaintext))
        except DataKeyError as error:
            raise error.with_facts(recipient=name_of(recipient)) from None
        version = recipient.version or _version(made.key_id)
        if not version:
            raise DataKeyError(
                "the key's newest version cannot be read",
                hint="name a version, or allow keys/get",
                recipient=name_of(recipient),
            )
        enc = base64.urlsafe_b64encode(made.ciphertext).rstrip(b"=").decode()
        return AzureKey(recipient.vault_url, recipient.name, version, created_at, enc)

    def _identifier(self, key: AzureKey | AzureRecipient) -> str:
        """The address of a key in a vault that may be asked. Raises DataKeyError."""
        identifier = f"{key.vault_url.rstrip('/')}/keys/{key.name}"
        address = _VAULT.fullmatch(key.vault_url)
        if address is None or not _NAME.fullmatch(key.name):
            raise _malformed()
        in_azure = address[1].lower().endswith(_DOMAINS) and address[2] in {None, "443"}
        if not in_azure and key.vault_url.rstrip("/").lower() not in self._named:
            raise DataKeyError(
                "the vault is not in a domain of Azure's",
                hint="name it with --azure-kv or SOPS_AZURE_KEYVAULT_URLS if you trust it",
                address=key.vault_url,
            )
        if key.version:
            if not _NAME.fullmatch(key.version):
                raise _malformed()
            identifier = f"{identifier}/{key.version}"
        return identifier

    def _call(self, key: AzureKey | AzureRecipient, request: Callable[[Any, Any], Any]) -> Any:
        """What one request gives, of a client and the algorithm. Raises DataKeyError, also where the SDK itself fails."""
        identifier = self._identifier(key)
        try:
            # Late, because they are large, and an extra.
            from azure.core.pipeline.transport import RequestsTransport
            from azure.identity import DefaultAzureCredential
            from azure.keyvault.keys.crypto import CryptographyClient, EncryptionAlgorithm
        except ImportError:
            raise DataKeyError(
                "Azure Key Vault keys need the azure extra", hint="pip install 'signet[azure]'"
            ) from None
        from requests import Session

        from agent.adapters.bounds import answers

        silence("azure", "msal", "urllib3")
        bounds: dict[str, Any] = {
            "connection_timeout": _CONNECT_SECONDS,
            "read_timeout": _READ_SECONDS,
            "retry_total": _RETRIES,
        }

        def transport() -> Any:
            session = Session()
            answers.mount(session)
            return RequestsTransport(session=session, **bounds)

        def call() -> Any:
            if self._credential is None:
                self._credential = DefaultAzureCredential(
                    process_timeout=_READ_SECONDS, transport=transport(), **bounds
                )
            with CryptographyClient(identifier, self._credential, transport=transport(), **bounds) as client:
                return request(client, EncryptionAlgorithm.rsa_oaep_256)

        try:
            return within_deadline(call)
        except DataKeyError:
            raise
        except Exception as error:  # noqa: BLE001  # of the SDK, or of any credential provider
            reason = _why(error)
        raise DataKeyError(reason)


def _malformed() -> DataKeyError:
    return DataKeyError(
        "not the address of a key in a vault", hint="it has the form https://NAME.vault.azure.net/keys/KEY/VERSION"
    )


def _why(error: Any) -> LiteralString:
    names = [each.__name__ for each in type(error).__mro__]
    inner = [each.__name__ for each in type(getattr(error, "inner_exception", None)).__mro__]
    if "SSLError" in inner:
        return "the server's certificate is not trusted"
    for name in names:
        if name in _PROBLEMS:
            return _PROBLEMS[name]
    if "HttpResponseError" in names and error.status_code != 200:
        return _REASONS.get(error.status_code, "Azure refuses")
    return "the server's answer is not Azure Key Vault's"


def _version(identifier: object) -> str:
    """The last part of `https://vault/keys/name/version`."""
    parts = identifier.split("/") if isinstance(identifier, str) else []
    return parts[5] if len(parts) == 6 else ""
