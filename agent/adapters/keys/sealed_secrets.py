"""The private keys of a sealed-secrets controller, and the values that they open.

A value is the length of its first part (16 bits, big-endian), a 32-byte session key under RSA-OAEP with SHA-256 and a label, and the
plaintext under AES-GCM with a nonce of zeros, since a session key is used once (bitnami-labs/sealed-secrets, pkg/crypto/crypto.go).
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from agent.adapters.keys.credential import key_text
from agent.manifests.sealed_secrets import Scope
from agent.values.dataclass import dataclass, field
from agent.values.errors import AgentError, ConfigError, SealedSecretError
from agent.values.secret import Secret
from agent.values.tree import get, get_object, get_text
from agent.yaml.read import manifests as yaml

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

    from agent.manifests.sealed_secrets import SealedValue
    from agent.values.tree import Tree

_NONCE = bytes(12)
_LENGTH_SIZE = 2
_PRIVATE = "PRIVATE KEY-----"
_CERTIFICATE = "-----BEGIN CERTIFICATE-----"
_END_OF_CERTIFICATE = "-----END CERTIFICATE-----"


@dataclass(frozen=True, slots=True)
class SealingKey:
    """One key pair. `name` is for people; `not_before` is its certificate's, in Unix seconds, 0 where there is none."""

    name: str
    not_before: float
    private: rsa.RSAPrivateKey = field(repr=False, compare=False)
    modulus: int = field(repr=False)

    @classmethod
    def of(cls, name: str, certificate: str, private: rsa.RSAPrivateKey) -> SealingKey:
        return cls(name, _not_before(certificate), private, private.public_key().public_numbers().n)


@dataclass(frozen=True, slots=True)
class Opened:
    """A value, and the name of the key that opened it."""

    secret: Secret
    key: str


@dataclass(frozen=True, slots=True)
class SealingKeys:
    """All available keys, the newest first: kubeseal takes the newest, and values sealed for older ones stay."""

    keys: tuple[SealingKey, ...] = ()

    @classmethod
    def parse(cls, text: Secret, *, source: str) -> SealingKeys:
        """A PEM private key, or `kubectl get secret -o yaml` of the controller's: one, a List, or several documents.

        Other Secrets among them are passed over. Raises ConfigError where there is no key, or one that cannot be read.
        """
        content = key_text(text)
        if content.lstrip().startswith("-----BEGIN "):
            return cls((_key(content, content, source),))
        try:
            documents = [document.tree for document in yaml.parse(content.encode(), file=source)]
        except AgentError:
            raise ConfigError(
                "neither a private key nor the manifest of a controller's key", hint=_HINT, file=source
            ) from None
        if any(isinstance(tree, dict) and "sops" in tree for tree in documents):
            raise ConfigError(
                "the sealing keys are encrypted",
                hint="pipe them: agent decrypt FILE | agent migrate sealed-secrets --sealing-key - …",
                file=source,
            )
        found = tuple(key for tree in documents for item in _items(tree) for key in _of_manifest(item, source))
        if not found:
            raise ConfigError("no sealing key in this file", hint=_HINT, file=source)
        return cls(found).merge()

    @classmethod
    def of_data(cls, data: Mapping[str, Secret], *, source: str) -> SealingKeys:
        """The key of a live Secret's decoded data. Raises ConfigError where there is none."""
        texts = {name: key_text(secret) for name, secret in data.items() if name in _FIELDS}
        if "tls.key" not in texts:
            raise ConfigError("the Secret holds no sealing key", hint="it is of type kubernetes.io/tls", object=source)
        try:
            return cls((_key(texts["tls.key"], texts.get("tls.crt", ""), source),))
        except ConfigError as error:
            refused = error.copy()
        refused.facts = {"object": source}
        raise refused

    def merge(self, *others: SealingKeys) -> SealingKeys:
        """All of these, the same one once."""
        known: dict[int, SealingKey] = {}
        for key in (key for keys in (self, *others) for key in keys.keys):
            if key.modulus not in known or known[key.modulus].not_before < key.not_before:
                known[key.modulus] = key
        return SealingKeys(tuple(sorted(known.values(), key=lambda key: -key.not_before)))

    def unseal(self, value: SealedValue) -> Opened:
        """The value's bytes. Raises SealedSecretError, with what is known of why it does not open."""
        length = int.from_bytes(value.ciphertext[:_LENGTH_SIZE], "big")
        wrapped = value.ciphertext[_LENGTH_SIZE : _LENGTH_SIZE + length]
        sealed = value.ciphertext[_LENGTH_SIZE + length :]
        if not length or len(wrapped) < length:
            raise SealedSecretError("a sealed value is cut off", hint=_SEAL_AGAIN, field=value.field)
        if not self.keys:
            raise SealedSecretError("there is no sealing key", hint="name one with --sealing-key", field=value.field)
        found = self._session_key(wrapped, value.scope.label(value.namespace, value.name))
        if found is None:
            raise self._refusal(wrapped, value)
        session_key, key = found
        try:
            plaintext = AESGCM(session_key).decrypt(_NONCE, sealed, None)
        except (InvalidTag, ValueError):
            raise SealedSecretError(
                "a sealed value was altered or cut off", hint=_SEAL_AGAIN, field=value.field
            ) from None
        return Opened(Secret(plaintext, value.leaf.label), key.name)

    def _session_key(self, wrapped: bytes, label: bytes) -> tuple[bytes, SealingKey] | None:
        for key in self.keys:
            # OpenSSL takes no other length, and says so by an error of its own.
            if key.private.key_size != len(wrapped) * 8:
                continue
            oaep = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), label)
            try:
                return key.private.decrypt(wrapped, oaep), key
            except ValueError:
                continue
        return None

    def _refusal(self, wrapped: bytes, value: SealedValue) -> SealedSecretError:
        for scope in Scope:
            if scope is not value.scope and self._session_key(wrapped, scope.label(value.namespace, value.name)):
                return SealedSecretError(
                    "a value was sealed with a different scope than the SealedSecret has",
                    hint="annotate it as the value was sealed: sealedsecrets.bitnami.com/namespace-wide or /cluster-wide",
                    field=value.field,
                    scope=value.scope.value,
                    sealed=scope.value,
                )
        return SealedSecretError(
            "no sealing key opens a value",
            hint="it was sealed for another key, name or namespace, or altered",
            field=value.field,
            scope=value.scope.value,
            bound=value.scope.label(value.namespace, value.name).decode("utf-8", "replace"),
            tried=len(self.keys),
        )


_HINT = "it is what `kubectl get secret -n kube-system -l sealedsecrets.bitnami.com/sealed-secrets-key -o yaml` prints"
_SEAL_AGAIN = "seal the value again with kubeseal"
_FIELDS = frozenset({"tls.key", "tls.crt"})


def _items(tree: Tree) -> Iterator[Tree]:
    items = get(tree, "items")
    if isinstance(items, list) and get_text(tree, "kind").endswith("List"):
        for item in items:
            yield from _items(item)
    else:
        yield tree


def _of_manifest(tree: Tree, source: str) -> Iterable[SealingKey]:
    texts: dict[str, str] = {}
    for name in _FIELDS:
        encoded, text = get(tree, "data", name), get(tree, "stringData", name)
        if isinstance(text, str):
            texts[name] = text
        elif isinstance(encoded, str):
            try:
                texts[name] = base64.b64decode("".join(encoded.split()), validate=True).decode()
            except (binascii.Error, ValueError):
                raise ConfigError("a key is not base64", file=source, field=f"data[{name}]") from None
    if get_text(tree, "kind") == "Secret" and "tls.key" in texts:
        name = get_text(get_object(tree, "metadata"), "name")
        private = _private(texts["tls.key"], source)
        if isinstance(private, rsa.RSAPrivateKey):
            yield SealingKey.of(f"{source}#{name}" if name else source, texts.get("tls.crt", ""), private)


def _key(text: str, certificate: str, source: str) -> SealingKey:
    private = _private(text, source)
    if not isinstance(private, rsa.RSAPrivateKey):
        raise ConfigError("the private key is not an RSA key", hint=_HINT, file=source)
    return SealingKey.of(source, certificate, private)


def _private(text: str, source: str) -> PrivateKeyTypes:
    if _PRIVATE not in text:
        raise ConfigError("no private key in PEM", hint=_HINT, file=source)
    from cryptography.hazmat.primitives import serialization

    try:
        return serialization.load_pem_private_key(text.encode(), password=None)
    except TypeError:
        raise ConfigError(
            "the private key has a passphrase, which is not supported",
            hint="pipe it: openssl rsa -in FILE | agent migrate sealed-secrets --sealing-key - …",
            file=source,
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise ConfigError("the private key cannot be read", file=source) from None


def _not_before(text: str) -> float:
    from cryptography import x509

    start = text.find(_CERTIFICATE)
    end = text.find(_END_OF_CERTIFICATE, start)
    if start < 0 or end < 0:
        return 0.0
    try:
        certificate = x509.load_pem_x509_certificate(text[start : end + len(_END_OF_CERTIFICATE)].encode() + b"\n")
    except ValueError:
        return 0.0
    return certificate.not_valid_before_utc.timestamp()
