"""Which host keys are accepted over SSH: a server with any other is offered no deploy key."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
from typing import TYPE_CHECKING

import pytest
from deploy_key_texts import ED25519, KEYS, login
from git_sources import make_source
from ssh_repositories import CHANGED, NEW, OTHER, REVOKED, reading, server, shop

from agent.values.errors import SourceError
from testbed.sshserver import SshServer, host_key, public

if TYPE_CHECKING:
    from collections.abc import Callable

    import asyncssh

    from agent.adapters.git.mirrors import Mirrors
    from testbed.repository import Repository

__all__ = ["reading", "server", "shop"]


def hashed(host: str, key: asyncssh.SSHKey) -> str:
    """A line as `ssh-keygen -H` writes it."""
    salt = os.urandom(20)
    digest = hmac.new(salt, host.encode(), hashlib.sha1).digest()
    return f"|1|{base64.b64encode(salt).decode()}|{base64.b64encode(digest).decode()} {public(key)}\n"


def known_hosts() -> dict[str, tuple[Callable[[str, asyncssh.SSHKey], str], str]]:
    """Of the server's `[host]:port` and key: lines, and what is said of them."""
    return {
        "the key": (lambda host, key: f"{host} {public(key)}\n", ""),
        "the key with a comment, among others": (
            lambda host, key: f"# ours\ngit.example.com {public(OTHER)}\n\n{host} {public(key)} root@git\n",
            "",
        ),
        "several keys of the host": (lambda host, key: f"{host} {public(OTHER)}\n{host} {public(key)}\n", ""),
        "a pattern": (lambda host, key: f"git.example.com,{host.replace('0.0.1', '0.*')} {public(key)}\n", ""),
        "CRLF": (lambda host, key: f"{host} {public(key)}\r\n", ""),
        "a hashed host": (hashed, ""),
        "a hashed host with another key": (lambda host, _: hashed(host, OTHER), CHANGED),
        "another hashed host": (lambda _, key: hashed("git.example.com", key), NEW),
        "another key": (lambda host, _: f"{host} {public(OTHER)}\n", CHANGED),
        "a key of another type": (lambda host, _: f"{host} {public(KEYS['rsa'])}\n", CHANGED),
        "another host": (lambda _, key: f"git.example.com {public(key)}\n", NEW),
        "another port": (lambda _, key: f"[127.0.0.1]:1 {public(key)}\n", NEW),
        "the host excluded": (lambda host, key: f"*,!{host},!127.0.0.1 {public(key)}\n", NEW),
        "no key": (lambda host, _: f"{host}\n", NEW),
        "a damaged key": (lambda host, key: f"{host} {public(key)[:-9]}\n", NEW),
        "the key revoked": (lambda host, key: f"{host} {public(key)}\n@revoked * {public(key)}\n", REVOKED),
        "the key revoked alone": (lambda host, key: f"@revoked {host} {public(key)}\n", REVOKED),
        "another key revoked": (lambda host, key: f"@revoked * {public(OTHER)}\n{host} {public(key)}\n", ""),
        "the key as an authority's": (lambda host, key: f"@cert-authority {host} {public(key)}\n", NEW),
    }


@pytest.mark.parametrize(("lines", "refusal"), known_hosts().values(), ids=known_hosts())
async def test_known_hosts_is_read_as_openssh_reads_it_and_nothing_else_is_believed(
    lines: Callable[[str, asyncssh.SSHKey], str],
    refusal: str,
    server: SshServer,
    shop: Repository,
    reading: Callable[..., Mirrors],
) -> None:
    secret = login(ED25519, lines(f"[127.0.0.1]:{server.port}", server.host_keys[0]))
    mirrors, source = reading(server), make_source(shop.url)
    if not refusal:
        assert await mirrors.head(source, secret) == shop.git("rev-parse", "main")
        return
    for call in (mirrors.head, mirrors.fetch):
        with pytest.raises(SourceError) as caught:
            await call(source, secret)
        assert (caught.value.message, caught.value.transient) == (refusal, False)
        assert caught.value.hint
        assert caught.value.facts == {"repository": shop.url}
    # to a host that is not believed no key is shown
    assert server.doings.offers == []


AUTHORITY = host_key()


@pytest.mark.parametrize(
    ("principals", "lines", "refusal"),
    [
        (["127.0.0.1"], "@cert-authority {host} {authority}\n", ""),
        (["127.0.0.1"], "@cert-authority * {authority}\n", ""),
        (["127.0.0.1"], "@cert-authority git.example.com {authority}\n", NEW),
        (["127.0.0.1"], "@cert-authority * {authority}\n@revoked * {authority}\n", REVOKED),
        (["git.example.com"], "@cert-authority * {authority}\n", "the Git server's host certificate does not count"),
        (["127.0.0.1"], "{host} {authority}\n", CHANGED),
    ],
)
async def test_an_authority_vouches_for_hosts(
    principals: list[str], lines: str, refusal: str, reading: Callable[..., Mirrors]
) -> None:
    key = host_key()
    server = SshServer(key)
    server.certificates = (AUTHORITY.generate_host_certificate(key, "git", principals=principals),)
    with server:
        repository = server.create("shop", ED25519)
        commit = repository.commit({"a.yaml": "a: 1\n"})
        text = lines.format(host=f"[127.0.0.1]:{server.port}", authority=public(AUTHORITY))
        asked = reading(server).head(make_source(repository.url), login(ED25519, text))
        if not refusal:
            assert await asked == commit
            return
        with pytest.raises(SourceError) as caught:
            await asked
        assert caught.value.message == refusal
        assert server.doings.offers == []
