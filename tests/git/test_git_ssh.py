"""Git over SSH: which keys and algorithms work, and what a refusal is called."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from deploy_key_texts import ED25519, KEYS, PASSPHRASE, login, text_of
from git_sources import make_source
from ssh_repositories import reading, server, shop

from agent.adapters.git import ssh
from agent.values.errors import SourceError, SourceUnavailableError
from testbed.sshserver import SshServer, host_key, public

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.adapters.git.mirrors import Mirrors
    from testbed.repository import Repository

__all__ = ["reading", "server", "shop"]


@pytest.mark.parametrize(
    ("name", "form", "passphrase"),
    [
        *((name, "openssh", None) for name in KEYS),
        *((name, "openssh", PASSPHRASE) for name in KEYS),
        *((name, form, None) for name in ("rsa", "ecdsa-256") for form in ("pem", "pkcs8")),
        ("rsa", "pem", PASSPHRASE),
        ("ecdsa-256", "pem", PASSPHRASE),
        ("ed25519", "pkcs8", None),
    ],
)
async def test_each_kind_of_key_fetches(
    name: str, form: str, passphrase: str | None, server: SshServer, reading: Callable[..., Mirrors]
) -> None:
    repository = server.create("shop", KEYS[name])
    commit = repository.commit({"a.yaml": "a: 1\n"})
    mirrors, source = reading(server), make_source(repository.url)
    secret = login(text_of(KEYS[name], form, passphrase), server.known_hosts, passphrase)
    assert await mirrors.head(source, secret) == commit
    assert (await mirrors.fetch(source, secret)).commit == commit
    # the same key read again leads to the same mirror
    again = login(text_of(KEYS[name], form, passphrase), server.known_hosts, passphrase)
    assert [file.data for file in (await mirrors.files(source, again, commit)).files] == [b"a: 1\n"]
    assert server.doings.methods == []
    assert set(server.doings.offers) == {("git", public(KEYS[name]))}


async def test_the_path_of_an_address_as_scp_writes_it_goes_to_the_server_as_it_is(
    server: SshServer, shop: Repository, reading: Callable[..., Mirrors], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It names no port, so the client is led to that of the test's server."""
    monkeypatch.setattr(ssh, "_OPTIONS", {**ssh._OPTIONS, "Port": str(server.port)})
    mirrors = reading(server, "127.0.0.1")
    for path in ("shop.git", "/shop.git"):
        source = make_source(f"git@127.0.0.1:{path}")
        assert await mirrors.head(source, login(ED25519, server.known_hosts)) == shop.git("rev-parse", "main")
    assert server.doings.commands == ["git-upload-pack 'shop.git'", "git-upload-pack '/shop.git'"]


async def test_many_commits_are_fetched_one_after_another_and_at_once(
    server: SshServer, shop: Repository, reading: Callable[..., Mirrors]
) -> None:
    mirrors, source, secret = reading(server), make_source(shop.url), login(ED25519, server.known_hosts)
    await mirrors.fetch(source, secret)
    for number in range(200):
        shop.commit({f"{number}.yaml": f"a: {number}\n"})
    commit = shop.commit({"a.yaml": "a: 2\n"})
    assert (await mirrors.fetch(source, secret)).commit == commit
    assert len((await mirrors.files(source, secret, commit)).files) == 201
    first = shop.git("rev-list", "--max-parents=0", "main")
    assert await mirrors.is_ancestor(source, secret, first, commit)
    fresh = login(ED25519, server.known_hosts + "# another mirror\n")
    assert (await mirrors.fetch(source, fresh)).commit == commit


@pytest.mark.parametrize("algorithm", ["ssh-rsa", "rsa-sha2-256", "rsa-sha2-512"])
async def test_with_an_rsa_key_nothing_is_signed_by_sha1(algorithm: str, reading: Callable[..., Mirrors]) -> None:
    rsa = KEYS["rsa"]
    with SshServer(rsa, signature_algs=[algorithm]) as server:
        repository = server.create("shop", rsa)
        commit = repository.commit({"a.yaml": "a: 1\n"})
        asked = reading(server).head(make_source(repository.url), login(rsa, server.known_hosts))
        if algorithm == "ssh-rsa":
            with pytest.raises(SourceError, match="refuses the deploy key"):
                await asked
        else:
            assert await asked == commit


async def test_a_server_of_bygone_algorithms_is_called_so(reading: Callable[..., Mirrors]) -> None:
    with SshServer(encryption_algs=["3des-cbc"]) as server:
        repository = server.create("shop", ED25519)
        with pytest.raises(SourceError, match="offers no SSH algorithm that the agent takes"):
            await reading(server).head(make_source(repository.url), login(ED25519, server.known_hosts))


async def test_a_key_that_the_server_refuses_is_called_so(
    server: SshServer, shop: Repository, reading: Callable[..., Mirrors]
) -> None:
    mirrors, secret = reading(server), login(KEYS["rsa"], server.known_hosts)
    user = make_source(shop.url.replace("git@", "other@"))
    for source, refused in ((make_source(shop.url), secret), (user, login(ED25519, server.known_hosts))):
        for call in (mirrors.head, mirrors.fetch):
            with pytest.raises(SourceError) as caught:
                await call(source, refused)
            assert caught.value.message == "the Git server refuses the deploy key"
            assert not caught.value.transient
    assert server.doings.methods == []


async def test_a_repository_that_the_key_may_not_read_is_called_so(
    server: SshServer, shop: Repository, reading: Callable[..., Mirrors]
) -> None:
    server.create("other")
    mirrors, secret = reading(server), login(ED25519, server.known_hosts)
    for name in ("other", "missing"):
        for call in (mirrors.head, mirrors.fetch):
            with pytest.raises(SourceError) as caught:
                await call(make_source(shop.url.replace("shop", name)), secret)
            assert caught.value.message == "no such repository, or the deploy key may not read it"
    with pytest.raises(SourceError, match="no such branch, tag or commit"):
        await mirrors.fetch(make_source(shop.url, revision={"branch": "missing"}), secret)


async def test_without_a_deploy_key_nothing_is_asked(
    server: SshServer, shop: Repository, reading: Callable[..., Mirrors]
) -> None:
    with pytest.raises(SourceError, match="Git over SSH needs a deploy key"):
        await reading(server).head(make_source(shop.url), None)
    assert server.doings.offers == []


async def test_two_keys_for_one_host_are_never_exchanged(server: SshServer, reading: Callable[..., Mirrors]) -> None:
    mirrors = reading(server)
    keys = {name: host_key() for name in ("one", "two")}
    repositories = {name: server.create(name, key) for name, key in keys.items()}
    commits = {name: each.commit({"a.yaml": f"a: {name}\n"}) for name, each in repositories.items()}
    secrets = {name: login(key, server.known_hosts) for name, key in keys.items()}
    sources = {name: make_source(each.url) for name, each in repositories.items()}
    for _ in range(5):
        found = await asyncio.gather(*(mirrors.fetch(sources[name], secrets[name]) for name in keys))
        assert [revision.commit for revision in found] == list(commits.values())
    # asked once whether it would do, and shown once with its proof
    offered = [key for _, key in server.doings.offers]
    assert [offered.count(public(key)) for key in keys.values()] == [10, 10]
    for own, other in (("one", "two"), ("two", "one")):
        with pytest.raises(SourceError, match="may not read it"):
            await mirrors.fetch(sources[other], secrets[own])
        # nor does a mirror that is there serve who has another key
        with pytest.raises(SourceUnavailableError, match="does not have this commit"):
            await mirrors.files(sources[other], secrets[own], commits[other])
