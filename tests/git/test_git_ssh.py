"""Git over SSH: which keys serve, which host keys are believed, what a failure is called, and that no key lies anywhere."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
import os
import socket
import subprocess
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from deploy_key_texts import ED25519, KEYS, PASSPHRASE, login, text_of
from git_sources import make_source
from test_git_limits import limits_of
from test_git_safety import processes, until

from agent.adapters.git import addresses, ssh
from agent.api.model import validate
from agent.api.operator import GitSettings
from agent.values.errors import LimitError, SourceError, SourceUnavailableError
from agent.values.reveal import reveal
from testbed.sshserver import SshServer, host_key, public

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    import asyncssh

    from agent.adapters.git.mirrors import Mirrors
    from testbed.repository import Repository

CANARY = "c4n4ry-words-of-the-server"
MIB = 1024 * 1024


@pytest.fixture
def server() -> Generator[SshServer]:
    with SshServer() as running:
        yield running


@pytest.fixture
def reading(make_mirrors: Callable[..., Mirrors]) -> Callable[..., Mirrors]:
    """Mirrors that may talk to a server over SSH: `reading(server, seconds=…, limits={…})`."""

    def make(server: SshServer, *hosts: str, seconds: int = 20, **more: Any) -> Mirrors:
        return make_mirrors(git={"allowedHosts": [server.netloc, *hosts], "timeoutSeconds": seconds}, **more)

    return make


@pytest.fixture
def shop(server: SshServer) -> Repository:
    """A repository with a commit, which ED25519 may read."""
    repository = server.create("shop", ED25519)
    repository.commit({"a.yaml": "a: 1\n"})
    return repository


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


def hashed(host: str, key: asyncssh.SSHKey) -> str:
    """A line as `ssh-keygen -H` writes it."""
    salt = os.urandom(20)
    digest = hmac.new(salt, host.encode(), hashlib.sha1).digest()
    return f"|1|{base64.b64encode(salt).decode()}|{base64.b64encode(digest).decode()} {public(key)}\n"


OTHER = host_key()
NEW = "the Git server's host key is not in known_hosts"
CHANGED = "the Git server shows another host key than the one in known_hosts"
REVOKED = "the Git server shows a host key that known_hosts revokes"


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


@contextlib.contextmanager
def listening(greeting: bytes, *, endless: bool = False) -> Generator[str]:
    """A port where a server greets, and then says nothing more or the same without end."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    held.append(connection)
                    connection.sendall(greeting)
                    while endless:
                        connection.sendall(greeting)

        held: list[socket.socket] = []
        threading.Thread(target=serve, daemon=True).start()
        try:
            yield f"127.0.0.1:{listener.getsockname()[1]}"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            for connection in held:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
                connection.close()


@pytest.mark.parametrize("greeting", [b"", b"SSH-2.0-slow\r\n"], ids=["before its greeting", "before the key exchange"])
async def test_a_server_that_says_nothing_is_left_after_the_timeout(
    greeting: bytes, make_mirrors: Callable[..., Mirrors]
) -> None:
    with listening(greeting) as netloc:
        mirrors = make_mirrors(git={"allowedHosts": [netloc], "timeoutSeconds": 1})
        with pytest.raises(SourceUnavailableError, match="did not answer in time"):
            await mirrors.head(make_source(f"ssh://git@{netloc}/shop"), login(ED25519, f"{netloc} {public(OTHER)}"))
        await until(lambda: not processes(netloc))


@pytest.mark.parametrize("stage", ["key", "command"])
@pytest.mark.parametrize("method", ["head", "fetch"])
async def test_a_server_that_hangs_later_is_left_too(
    stage: str, method: str, server: SshServer, shop: Repository, reading: Callable[..., Mirrors]
) -> None:
    server.doings.stall = stage
    with pytest.raises(SourceUnavailableError, match="did not answer in time"):
        await getattr(reading(server, seconds=1), method)(make_source(shop.url), login(ED25519, server.known_hosts))
    await until(lambda: not processes(server.netloc) and not processes(f"-p\0{server.port}"))


async def test_what_is_sent_without_end_has_an_end(
    server: SshServer, shop: Repository, reading: Callable[..., Mirrors], make_mirrors: Callable[..., Mirrors]
) -> None:
    secret = login(ED25519, server.known_hosts)
    server.doings.flood = True
    for method in ("head", "fetch"):
        with pytest.raises((SourceError, LimitError)):
            await getattr(reading(server, seconds=2), method)(make_source(shop.url), secret)
        await until(lambda: not processes(f"-p\0{server.port}"))
    with listening(b"x" * 4096, endless=True) as netloc:
        mirrors = make_mirrors(git={"allowedHosts": [netloc], "timeoutSeconds": 2})
        with pytest.raises(SourceUnavailableError):
            await mirrors.head(make_source(f"ssh://git@{netloc}/shop"), login(ED25519, f"{netloc} {public(OTHER)}"))


async def test_a_server_that_cannot_be_reached_is_tried_again(
    server: SshServer, shop: Repository, reading: Callable[..., Mirrors]
) -> None:
    mirrors, secret = reading(server, "git.invalid"), login(ED25519, server.known_hosts)
    with server.away(), pytest.raises(SourceUnavailableError, match="cannot be reached"):
        await mirrors.head(make_source(shop.url), secret)
    with pytest.raises(SourceUnavailableError, match="name does not resolve"):
        await mirrors.head(make_source("ssh://git@git.invalid/shop"), secret)
    with listening(b"HTTP/1.1 400 Bad Request\r\n\r\n", endless=True) as netloc:
        other = reading(server, netloc)
        with pytest.raises(SourceUnavailableError, match=r"ended the connection|in time"):
            await other.head(make_source(f"ssh://git@{netloc}/shop"), secret)
    assert await mirrors.head(make_source(shop.url), secret) == shop.git("rev-parse", "main")


@pytest.mark.parametrize(
    "words",
    [
        "fatal: out of memory",
        "@       WARNING: REVOKED HOST KEY DETECTED!               @",
        "git@host: Permission denied (publickey).",
        "fatal: couldn't find remote ref refs/heads/main",
        "exit 255",
    ],
)
async def test_words_of_the_server_neither_show_nor_choose_the_error(
    words: str, server: SshServer, shop: Repository, reading: Callable[..., Mirrors]
) -> None:
    server.doings.words = f"\n{words} {CANARY}\n".encode() * 10_000
    for method in ("head", "fetch"):
        with pytest.raises(SourceError) as caught:
            await getattr(reading(server), method)(make_source(shop.url), login(ED25519, server.known_hosts))
        error = caught.value
        assert error.message == "no such repository, or the deploy key may not read it"
        assert CANARY not in f"{error!r} {error.hint} {error.facts} {error.__cause__!r} {error.__context__!r}"


async def test_a_key_is_in_no_argument_list_environment_or_file_and_a_cancelled_fetch_leaves_nothing(
    server: SshServer, shop: Repository, reading: Callable[..., Mirrors], tmp_path: Path
) -> None:
    mirrors = reading(server, limits={"gitBytes": 80 * MIB})
    secret = login(text_of(ED25519, passphrase=PASSPHRASE), server.known_hosts, PASSPHRASE)
    server.doings.stall = "command"
    task = asyncio.ensure_future(mirrors.fetch(make_source(shop.url), secret))
    await until(lambda: server.doings.commands)
    seen = b"".join(processes(f"-p\0{server.port}").values()) + b"".join(processes(shop.url).values())
    assert b"IdentityFile=/proc/" in seen
    on_disk = contents(tmp_path)
    assert secret.identity is not None
    der = reveal(secret.identity)
    assert isinstance(der, bytes)
    private = KEYS["ed25519"].pyca_key.private_bytes_raw()
    lines = [line for line in text_of(ED25519).splitlines() if not line.startswith(b"-----")]
    for canary in (
        private,
        private.hex().encode(),
        base64.b64encode(der),
        base64.b64encode(private),
        PASSPHRASE.encode(),
        *lines[1:3],
    ):
        assert canary not in seen + on_disk
    # what holds the key is a file in memory, which has no name in any folder and which others may not open
    assert [mode for name, mode in open_files() if "memfd:identity" in name] == [0o600]
    assert {limits["Max address space"] for limits in limits_of(f"-p\0{server.port}")} == {str(80 * MIB)}
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: not processes(f"-p\0{server.port}"))
    assert not [name for name, _ in open_files() if "memfd:" in name]


def contents(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def open_files() -> list[tuple[str, int]]:
    """What this process has open, and the modes."""
    found: list[tuple[str, int]] = []
    for path in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            found.append((str(path.readlink()), path.stat().st_mode & 0o777))
    return found


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
        with pytest.raises(SourceUnavailableError, match="does not hold this commit"):
            await mirrors.files(sources[other], secrets[own], commits[other])


async def test_agent_and_configuration_of_the_machine_do_not_count(
    server: SshServer,
    shop: Repository,
    reading: Callable[..., Mirrors],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    marker = tmp_path / "ran"
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh/config").write_text(f"Host *\n  ProxyCommand touch {marker}\n")
    (tmp_path / ".ssh/known_hosts").write_text(server.known_hosts)
    for name, text in {
        "HOME": str(tmp_path),
        "SSH_AUTH_SOCK": str(tmp_path / "agent"),
        "SSH_ASKPASS": f"touch {marker}",
        "SSH_ASKPASS_REQUIRE": "force",
        "DISPLAY": ":0",
        "GIT_SSH": f"touch {marker}",
        "GIT_SSH_COMMAND": f"touch {marker}",
    }.items():
        monkeypatch.setenv(name, text)
    mirrors = reading(server)
    with socket.socket(socket.AF_UNIX) as agent:
        agent.bind(str(tmp_path / "agent"))
        agent.listen()
        agent.setblocking(False)
        assert await mirrors.head(make_source(shop.url), login(ED25519, server.known_hosts))
        with pytest.raises(SourceError, match=NEW):
            await mirrors.head(make_source(shop.url), login(ED25519, f"git.example.com {public(OTHER)}"))
        with pytest.raises(BlockingIOError):
            agent.accept()
    assert not marker.exists()


def test_the_client_reads_no_settings_and_does_nothing_but_connect(server: SshServer) -> None:
    address = addresses.check(
        f"ssh://git@{server.netloc}/shop", validate(GitSettings, {"allowedHosts": [server.netloc]})
    )
    with ssh.client(address, login(ED25519, server.known_hosts)) as client:
        assert client is not None
        command = client.configuration["core.sshCommand"]
        assert " -F none " in command
        shown = subprocess.run(
            ["sh", "-c", f"{command} -G git@127.0.0.1"],
            capture_output=True,
            text=True,
            check=True,
            pass_fds=client.descriptors,
        )
    settings = dict(line.split(" ", 1) for line in shown.stdout.splitlines() if " " in line)
    expected = {
        **dict.fromkeys(("batchmode", "identitiesonly", "clearallforwardings"), "yes"),
        **dict.fromkeys(
            ("forwardagent", "forwardx11", "passwordauthentication", "permitlocalcommand", "gssapiauthentication"), "no"
        ),
        **dict.fromkeys(("updatehostkeys", "verifyhostkeydns", "tunnel", "controlmaster"), "false"),
        "checkhostip": "no",
        "hostbasedauthentication": "no",
        "identityagent": "none",
        "preferredauthentications": "publickey",
        "stricthostkeychecking": "true",
        "globalknownhostsfile": "none",
    }
    assert {name: settings.get(name) for name in expected} == expected
    assert not settings.keys() & {
        "proxycommand",
        "proxyjump",
        "localcommand",
        "remotecommand",
        "knownhostscommand",
        "sendenv",
    }
    for name in ("hostkeyalgorithms", "pubkeyacceptedalgorithms"):
        assert "rsa-sha2-512" in settings[name]
        assert not [each for each in settings[name].split(",") if each.startswith(("ssh-rsa", "ssh-dss"))]
    assert [line for line in shown.stdout.splitlines() if line.startswith("identityfile ")] == [
        f"identityfile {settings['identityfile']}"
    ]


async def test_what_the_machine_lacks_for_ssh_is_called_so(
    server: SshServer, shop: Repository, reading: Callable[..., Mirrors], monkeypatch: pytest.MonkeyPatch
) -> None:
    mirrors = reading(server)
    monkeypatch.setattr(os, "getuid", lambda: 2**31 - 5)
    with pytest.raises(SourceError, match="ssh does not run under the agent's user id"):
        await mirrors.head(make_source(shop.url), login(ED25519, server.known_hosts))
    monkeypatch.setattr(ssh.shutil, "which", lambda _: None)
    with pytest.raises(SourceError, match="ssh is not installed"):
        await mirrors.head(make_source(shop.url), login(ED25519, server.known_hosts))
