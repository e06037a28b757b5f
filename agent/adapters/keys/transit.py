"""Data keys through the transit engine of Vault or OpenBao, for the command line.

An address in a file is followed only where the user named it (VAULT_ADDR, SOPS_VAULT_URIS, a flag): otherwise an edited file would
have the user's token sent to the person who edited it.
"""

from __future__ import annotations

import base64
import binascii
import re
import warnings
from typing import TYPE_CHECKING, LiteralString

from agent.adapters.keys.credential import data_key_bytes, key_text
from agent.adapters.keys.remote import silence, within_deadline
from agent.sops.format.keys import TransitKey, TransitRecipient, name_of
from agent.values.errors import DataKeyError
from agent.values.secret import Secret
from agent.values.tree import get_text

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from agent.adapters.vault.answer import Answer, Why
    from agent.sops.format.keys import Recipient, WrappedKey
    from agent.values.tree import Object

_READ_SECONDS = 10
_NOT_TRANSIT: LiteralString = "the server's answer is not transit's"
_REFUSED: LiteralString = "the server refuses"
_REFUSALS: dict[int, LiteralString] = {
    400: "the server has no such transit key, or it did not make this wrapped key",
    403: "the server denies the use of this transit key",
    404: "the server has no such transit engine",
}
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

    def _post(self, key: TransitKey | TransitRecipient, action: str, body: Mapping[str, str]) -> Object:
        address = key.vault_address.rstrip("/")
        if address not in self._addresses:
            raise DataKeyError(
                "the file names a server that you have not allowed",
                hint="if you trust it, set VAULT_ADDR or --vault-address to it",
            )
        segments = [*key.engine_path.strip("/").split("/"), key.key_name]
        if not all(_SEGMENT.fullmatch(segment) for segment in segments):
            raise DataKeyError(
                "not the path of a transit key", hint="it has the form https://HOST:8200/v1/ENGINE/keys/KEY"
            )
        if self._token is None:
            raise DataKeyError("no token for the server", hint="set VAULT_TOKEN, or log in")
        token = key_text(self._token).strip()
        if not (token.isascii() and token.isprintable()):
            raise DataKeyError("the token for the server is malformed", hint="look at VAULT_TOKEN or ~/.vault-token")
        path = f"{'/'.join(segments[:-1])}/{action}/{segments[-1]}"
        # Late, because it costs more to load than everything else together; and by this thread, since one that is given up would leave
        # it half loaded.
        from agent.adapters.vault.server import NoAnswerError

        silence("hvac", "urllib3")
        try:
            answer = within_deadline(lambda: self._ask(address, token, path, body))
        except NoAnswerError as error:
            raise DataKeyError(_problem(error.why)) from None
        if answer.status >= 400:
            raise DataKeyError(_REFUSALS.get(answer.status, _REFUSED))
        return answer.data

    def _ask(self, address: str, token: str, path: str, body: Mapping[str, str]) -> Answer:
        from urllib3.exceptions import InsecureRequestWarning

        from agent.adapters.vault import transport
        from agent.adapters.vault.server import Server

        if not self._verify:
            # The user said so, once.
            warnings.simplefilter("ignore", InsecureRequestWarning)
        proxy = transport.proxy_of_user(address)
        with transport.session(
            workers=1, verify=self._verify, certificate=self._client_certificate, proxy=proxy
        ) as session:
            server = Server(address, session, seconds=_READ_SECONDS, namespace=self._namespace or None, token=token)
            return server.call("post", path, body=body)


def _problem(why: Why) -> LiteralString:
    from agent.adapters.vault.answer import Why

    problems: dict[Why, LiteralString] = {
        Why.UNTRUSTED: "the server's certificate is not trusted",
        Why.UNREADABLE_FILE: "VAULT_CACERT, VAULT_CAPATH, VAULT_CLIENT_CERT or VAULT_CLIENT_KEY names what cannot be read",
        Why.TOO_LARGE: "the server's answer is too large",
        Why.ENCODED: "the server's answer is compressed, which is not supported",
        Why.PROXY: "the proxy of HTTPS_PROXY does not lead to the server",
        Why.REDIRECTED: "the server redirects, which is not followed",
        Why.SEALED: "the server is sealed",
        Why.FAILING: _REFUSED,
        Why.NOT_JSON: _NOT_TRANSIT,
    }
    return problems.get(why, "the server does not answer")


def _field(fields: Object, name: str) -> str:
    """Raises DataKeyError where there is none."""
    if found := get_text(fields, name):
        return found
    raise DataKeyError(_NOT_TRANSIT)
