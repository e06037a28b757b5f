"""`agent known-hosts` prints what ssh believes, and says that it has to be compared."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from testbed.processes import free_port
from testbed.sshserver import SshServer, host_key, public

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Shell


def test_lines_and_fingerprints_of_every_type_of_key(shell: Shell) -> None:
    keys = [host_key("ssh-rsa"), host_key("ecdsa-sha2-nistp256"), host_key()]
    with SshServer(*keys) as server:
        result = shell.agent("known-hosts", server.netloc)
    assert result.code == 0
    comments, lines = result.out.decode().splitlines()[::2], result.out.decode().splitlines()[1::2]
    assert lines == [f"[127.0.0.1]:{server.port} {public(key)}" for key in reversed(keys)]
    path = shell.write("known_hosts", result.out)
    shown = subprocess.run(["ssh-keygen", "-l", "-f", path], capture_output=True, text=True, check=True).stdout
    theirs = [line.split() for line in shown.splitlines()]
    assert [comment.split()[1:] for comment in comments] == [[words[-1].strip("()"), words[1]] for words in theirs]
    assert "compare the fingerprints with those that the people who run the server publish" in result.err


@pytest.mark.parametrize(
    "host",
    [
        "",
        "-oProxyCommand=id",
        "ssh://git.example.com",
        "git@git.example.com",
        "git.example.com:0",
        "git.example.com:65536",
        "git.example.com:ssh",
        "git.example.com/shop",
        "a,b",
        "a b",
        "::1",
        "[::1",
    ],
)
def test_what_is_no_host_is_not_asked(shell: Shell, host: str) -> None:
    result = shell.agent("known-hosts", "--", host)
    assert (result.code, result.out) == (2, b"")
    assert "not a host that can be asked" in result.err
    assert "HOST:PORT" in result.err


@pytest.mark.parametrize(
    ("host", "message"),
    [
        (f"127.0.0.1:{free_port()}", "no server of SSH answers there"),
        ("git.invalid", "the host's name does not resolve"),
    ],
    ids=["no server", "no host"],
)
def test_a_host_that_does_not_answer_is_an_error(shell: Shell, host: str, message: str) -> None:
    result = shell.agent("known-hosts", host)
    assert (result.code, result.out) == (1, b"")
    assert message in result.err
    assert host in result.err


def test_a_servers_banner_adds_no_line_for_another_host(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What ssh-keyscan repeats of a server may hold what other programs take for the end of a line."""
    scan = tmp_path / "ssh-keyscan"
    scan.write_text("#!/bin/sh\nprintf '# x SSH-2.0-x\\013github.com ssh-ed25519 AAAA\\nx ssh-ed25519 BBBB\\n'\n")
    scan.chmod(0o700)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    result = shell.agent("known-hosts", "x")
    assert result.out.splitlines()[1::2] == [b"x ssh-ed25519 BBBB"]
