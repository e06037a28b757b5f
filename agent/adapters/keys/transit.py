"""Data keys through the transit engine of Vault or OpenBao, for the command line.

An address in a file is followed only where the user named it (VAULT_ADDR, SOPS_VAULT_URIS, a flag): otherwise an edited file would
have the user's token sent to the person who edited it.
"""

from __future__ import annotations

import base64
import binascii
import importlib
import re
import warnings
from typing import TYPE_CHECKING, LiteralString

from agent.adapters.keys.credential import data_key_bytes, key_text
from agent.adapters.keys.remote import silence, within_deadline
from agent.sops.keys import TransitKey, TransitRecipient, name_of
from agent.values.errors import DataKeyError
from agent.values.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from agent.sops.keys import Recipient, WrappedKey

_READ_SECONDS = 10
_SILENT: LiteralString = "the server does not answer"
_PROBLEMS: dict[str, LiteralString] = {
    "Forbidden": "the server denies the use of this transit key",
    "InvalidPath": "the server has no such transit engine",
    "InvalidRequest": "the server has no such transit key, or it did not make this wrapped key",
    "VaultDown": "the server is sealed",
    "VaultError": "the server refuses",
    "SSLError": "the server's certificate is not trusted",
    "EncodedError": "the server's answer is compressed, which is not supported",
    "TooLargeError": "the server's answer is too large",
}
"""By the class of the exception of hvac, requests or ours, or one of its bases, the first that stands here."""
_SEGMENT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")


class TransitKeys:
    """Transit on the servers of `addresses` alone, with one token.

    `ca` is the PEM file of a private CA, or a folder of them; `client_certificate` two PEM files, of the certificate and of its key.
    """

    def __init__(
        self,
        addresses: Collection[str],
        token: Secret | None,
        *,
        namespace: str = "",
        ca: str = "",
        client_certificate: tuple[str, str] = ("", ""),
        skip_verify: bool = False,
    ) -> None:
        self._addresses = frozenset(address.rstrip("/") for address in addresses)
        self._token = token
        self._namespace = namespace
        self._verify: bool | str = not skip_verify and (ca or True)
        self._client_certificate = client_certificate if all(client_certificate) else None

    def unwrap(self, key: WrappedKey) -> Secret:
        if not isinstance(key, TransitKey):
            raise DataKeyError("not a transit key")
        answer = self._post(key, "decrypt", {"ciphertext": key.enc})
        try:
            data = base64.b64decode(_field(answer, "plaintext"), validate=True)
        except (binascii.Error, ValueError):
            raise DataKeyError("the server's answer holds no data key") from None
        return Secret(data, f"data key by transit {key.engine_path}/{key.key_name}")

    def wrap(self, recipient: Recipient, data_key: Secret, *, created_at: str) -> TransitKey:
        if not isinstance(recipient, TransitRecipient):
            raise DataKeyError("not a transit recipient")
        plaintext = base64.b64encode(data_key_bytes(data_key)).decode()
        try:
            enc = _field(self._post(recipient, "encrypt", {"plaintext": plaintext}), "ciphertext")
        except DataKeyError as error:
            raise error.with_facts(recipient=name_of(recipient)) from None
        return TransitKey(recipient.vault_address, recipient.engine_path, recipient.key_name, created_at, enc)

    def _post(self, key: TransitKey | TransitRecipient, action: str, body: Mapping[str, str]) -> object:
        address = key.vault_address.rstrip("/")
        if address not in self._addresses:
            raise DataKeyError(
                "the file names a server that you have not allowed",
                hint="if you trust it, set VAULT_ADDR or --vault-address to it",
            )
        segments = [*key.engine_path.strip("/").split("/"), key.key_name]
        if not all(_SEGMENT.fullmatch(segment) for segment in segments):
            raise DataKeyError("not the path of a transit key")
        if self._token is None:
            raise DataKeyError("no token for the server", hint="set VAULT_TOKEN, or log in")
        token = key_text(self._token).strip()
        path = f"/v1/{'/'.join(segments[:-1])}/{action}/{segments[-1]}"
        # Loaded by this thread: one that is given up would leave it half loaded.
        _ = importlib.import_module("hvac")
        return within_deadline(lambda: self._request(address, token, path, body))

    def _request(self, address: str, token: str, path: str, body: Mapping[str, str]) -> object:
        # Late, because it costs more to load than everything else together.
        import hvac  # pyright: ignore[reportMissingTypeStubs]
        import requests
        from hvac import exceptions  # pyright: ignore[reportMissingTypeStubs]
        from urllib3.exceptions import InsecureRequestWarning

        from agent.adapters.bounds import answers

        silence("hvac", "urllib3")
        if not self._verify:
            # The user said so, once.
            warnings.simplefilter("ignore", InsecureRequestWarning)
        with requests.Session() as session:
            # No proxy or netrc of the environment; no redirect, which would carry the token along.
            session.trust_env = False
            answers.mount(session)
            # hvac takes the session's, but not where it is False.
            session.verify = self._verify
            client = hvac.Client(
                address,
                token=token,
                verify=self._verify,
                cert=self._client_certificate,
                namespace=self._namespace or None,
                session=session,
                timeout=_READ_SECONDS,
                allow_redirects=False,
            )
            try:
                answer: object = client.adapter.post(path, json=dict(body))
            except (exceptions.VaultError, requests.exceptions.RequestException, ValueError, RecursionError) as error:
                reason = _why(error)
            else:
                return answer
        raise DataKeyError(reason)


def _why(error: Exception) -> LiteralString:
    for each in type(error).__mro__:
        if each.__name__ in _PROBLEMS:
            return _PROBLEMS[each.__name__]
    return _SILENT


def _field(answer: object, name: str) -> str:
    match answer:
        case {"data": {**fields}} if isinstance(found := fields.get(name), str):  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
            return found
        case _:
            raise DataKeyError("the server's answer is not transit's")
