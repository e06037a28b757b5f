"""Files and programs that cannot be used: the error names the file and says why, in words."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

import pytest

from agent.adapters.audit.journal import Journal
from agent.adapters.http import server
from agent.values.errors import AgentError, AuditError, ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Shell

ROWS = {
    "audit file": (
        ("audit", "show", "missing.jsonl"),
        "missing.jsonl: the file cannot be read",
        "no such file or folder",
    ),
    "audit folder": (("audit", "show", "folder"), "folder: the file cannot be read", "it is a folder"),
    "anchor": (("audit", "verify", "plain.yaml", "--anchor", "missing"), "missing: ", "no such file or folder"),
    "audit text": (("audit", "verify", "plain.yaml", "--anchor", "bytes"), "bytes: ", "bytes that are not text"),
    "input": (("decrypt", "plain.yaml/below"), "plain.yaml/below: ", "a part of its path is not a folder"),
    "folder as input": (("set", "folder", '["a"]', "1"), "folder: ", "it is a folder"),
    "long name": (("decrypt", "x" * 300), "x" * 300, "the name is too long"),
    "output in no folder": (
        ("encrypt", "--age", "RECIPIENT", "--output", "missing/b", "plain.yaml"),
        "missing/b: ",
        "no such file or folder",
    ),
    "output is a folder": (
        ("encrypt", "--age", "RECIPIENT", "--output", "folder", "plain.yaml"),
        "folder: ",
        "it is a folder",
    ),
    "full disk": (
        ("encrypt", "--age", "RECIPIENT", "--output", "/dev/full", "plain.yaml"),
        "/dev/full: ",
        "no space left",
    ),
    "new key": (("keygen", "-o", "missing/key.txt"), "missing/key.txt: ", "no such file or folder"),
    "key command": (("decrypt", "secret.yaml"), "SOPS_AGE_KEY_CMD: ", "no such file or folder"),
}


@pytest.mark.parametrize("row", ROWS)
def test_a_file_that_cannot_be_used_is_named_with_the_cause(shell: Shell, row: str):
    arguments, file, cause = ROWS[row]
    shell.write("plain.yaml", "a: 1\n")
    shell.write("bytes", b"\xff\xfe\xff")
    shell.write("secret.yaml", shell.agent("encrypt", "--age", shell.recipient, "plain.yaml").out)
    (shell.folder / "folder").mkdir()
    if row == "key command":
        shell.env("SOPS_AGE_KEY", None)
        shell.env("SOPS_AGE_KEY_CMD", "/missing/program")
    result = shell.agent(*(shell.recipient if each == "RECIPIENT" else each for each in arguments))
    assert result.code not in {0, 141}
    assert file in result.err
    assert cause in result.err
    assert "errno" not in result.err
    assert "internal error" not in result.err


async def listening(host: str, port: int) -> AgentError:
    with pytest.raises(ConfigError) as caught:
        await server.serve(host=host, port=port, ready=str, metrics=bytes, content_type="text/plain")
    return caught.value


def test_an_address_that_cannot_be_listened_on_says_why():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        in_use = asyncio.run(listening("127.0.0.1", taken.getsockname()[1]))
    assert "the address is in use" in str(in_use)
    elsewhere = asyncio.run(listening("192.0.2.1", 8080))
    assert "this machine does not have the address" in str(elsewhere)
    unknown = asyncio.run(listening("host.invalid", 8080))
    assert "the name is not known" in str(unknown)
    for error in (in_use, elsewhere, unknown):
        assert "errno" not in str(error)
        assert "--listen" in error.hint


def test_an_audit_file_that_cannot_be_opened_says_why(tmp_path: Path):
    (tmp_path / "link").symlink_to(tmp_path / "target")
    for name, cause in {
        "missing/audit": "no such file or folder",
        "": "it is a folder",
        "link": "it is a link",
    }.items():
        with pytest.raises(AuditError) as caught:
            Journal(tmp_path / name)
        assert cause in str(caught.value)
        assert "errno" not in str(caught.value)
