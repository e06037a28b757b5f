"""The ssh program as the agent runs it: where the deploy key is, and which settings of the machine count."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import socket
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from deploy_key_texts import ED25519, KEYS, PASSPHRASE, login, text_of
from git_sources import make_source
from ssh_repositories import NEW, OTHER, reading, server, shop
from test_git_limits import limits_of
from test_git_safety import processes, until

from agent.adapters.git import addresses, ssh
from agent.api.model import validate
from agent.api.operator import GitSettings
from agent.values.errors import SourceError
from agent.values.reveal import reveal
from testbed.sshserver import SshServer, public

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.adapters.git.mirrors import Mirrors
    from testbed.repository import Repository

__all__ = ["reading", "server", "shop"]

MIB = 1024 * 1024


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
