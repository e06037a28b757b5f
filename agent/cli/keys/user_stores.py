"""Vault and OpenBao as the user reaches them: addresses by flag, the token that `vault login` left or VAULT_TOKEN holds.

A reference only names a store: which server that is, and that it may be sent the token, is the user's to say.
"""

from __future__ import annotations

import os
import random
import time
from typing import TYPE_CHECKING

from agent.cli import plaintext
from agent.cli.errors import UsageError
from agent.cli.keys import key_sources
from agent.values.secret import Secret

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from agent.adapters.vault.client import StoreClient
    from agent.adapters.vault.credential import Token
    from agent.adapters.vault.stores import Stores
    from agent.values.tree import Object


class _GivenToken:
    """A token that was made elsewhere, for as long as it lives."""

    owned: bool = False

    def __init__(self, secret: Secret) -> None:
        from agent.adapters.vault.credential import Token

        self._token: Token = Token(Secret(plaintext.text(secret).strip(), secret.label))

    def obtain(self, client: StoreClient) -> Token:
        del client
        return self._token

    def changed(self, token: Token) -> bool:
        del token
        return False


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--vault-store",
        action="append",
        default=[],
        metavar="NAME=URL",
        help="resolve vault://NAME/… at this address, with VAULT_TOKEN or ~/.vault-token (VAULT_NAMESPACE, VAULT_CACERT)",
    )


def named(given: Sequence[str]) -> frozenset[str]:
    """The stores that --vault-store gave an address for."""
    return frozenset(text.partition("=")[0] for text in given)


def open_stores(given: Sequence[str]) -> Stores:
    """Those of --vault-store. Raises UsageError, ConfigError."""
    from agent.adapters.vault.stores import Stores
    from agent.api import operator

    stores: Object = {}
    for text in given:
        name, found, address = text.partition("=")
        if not (found and name and address):
            raise UsageError("--vault-store takes NAME=URL", hint="such as main=https://vault.example.com:8200")
        settings: Object = {
            "address": address,
            # Replaced by the login below.
            "auth": {"tokenFile": "/dev/null"},
            "allowedPaths": ["**"],
            "allowedNamespaces": ["*"],
        }
        if os.environ.get("VAULT_NAMESPACE"):
            settings["namespace"] = os.environ["VAULT_NAMESPACE"]
        if os.environ.get("VAULT_CACERT"):
            settings["caFile"] = os.path.abspath(os.environ["VAULT_CACERT"])
        stores[name] = settings
    token = key_sources.vault_token()
    if stores and token is None:
        raise UsageError("no token for Vault", hint="set VAULT_TOKEN, or log in with `vault login` or `bao login`")
    configured = operator.parse({"stores": stores}).stores
    logins = {} if token is None else dict.fromkeys(configured, _GivenToken(token))
    return Stores(configured, monotonic=time.monotonic, jitter=random.random, logins=logins, environment=True)
