"""Plugins of age, found in PATH: a small one that is written here, and what they may ask."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest
import terminals

from agent.adapters.keys import age_bech32

if TYPE_CHECKING:
    from conftest import Shell

PLAIN = b"a: hunter2\n"
RECIPIENT = age_bech32.encode("age1toy", b"recipient")
IDENTITY = age_bech32.encode("AGE-PLUGIN-TOY-", b"recipient")
OTHER = age_bech32.encode("AGE-PLUGIN-TOY-", b"another recipient")
PLUGIN = '''\
#!{python}
"""age-plugin-toy (c2sp.org/age-plugin): the file key in a mirror. QUESTION, where it is set, is asked before it is shown."""
import base64, os, sys

def read():
    head = sys.stdin.buffer.readline().decode().split()
    body = b""
    while True:
        line = sys.stdin.buffer.readline().rstrip(b"\\n")
        body += line
        if len(line) < 64:
            return head[1], head[2:], base64.b64decode(body + b"=" * (-len(body) % 4))

def write(*words, body=b""):
    text = base64.b64encode(body).rstrip(b"=").decode()
    sys.stdout.write(" ".join(["->", *words]) + "\\n" + text + "\\n")
    sys.stdout.flush()

def ask(*words, body=b""):
    write(*words, body=body)
    return read()

keys, found, wrapped = [], [], []
while True:
    kind, words, body = read()
    if kind == "done":
        break
    if kind in ("add-recipient", "add-identity"):
        keys.append(words[0])
    elif kind == "wrap-file-key":
        wrapped.append(body)
    elif kind == "recipient-stanza" and words[1] == "toy":
        found.append((words[0], words[2], body))

for file_key in wrapped:
    ask("recipient-stanza", "0", "toy", keys[0][8:-6].lower(), body=file_key[::-1])
for number, whose, body in found:
    if keys[0][16:-6].lower() != whose:
        continue
    question = os.environ.get("QUESTION", "")
    if question == "msg":
        ask("msg", body=b"touch \\x1b[31mthe toy")
    elif question == "confirm":
        if ask("confirm", base64.b64encode(b"now").rstrip(b"=").decode(), base64.b64encode(b"never").rstrip(b"=").decode(),
               body=b"open it?")[1] != ["yes"]:
            continue
    elif question and ask(question, body=b"the word?")[2] != b"canary":
        continue
    ask("file-key", number, body=body[::-1])
write("done")
'''


@pytest.fixture
def toy(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a file that sops encrypted for the plugin, which is installed."""
    shell.write("bin/age-plugin-toy", PLUGIN.format(python=sys.executable)).chmod(0o700)
    monkeypatch.setenv("PATH", f"{shell.folder / 'bin'}:{os.environ['PATH']}")
    shell.env("SOPS_AGE_KEY", IDENTITY)
    shell.write("theirs.yaml", PLAIN)
    made = shell.sops("encrypt", "-i", "--age", RECIPIENT, "theirs.yaml")
    assert made.code == 0, made.err
    return "theirs.yaml"


def test_sops_and_we_open_what_the_other_wraps(shell: Shell, toy: str) -> None:
    assert shell.agent("decrypt", toy).out == PLAIN
    ours = shell.agent("encrypt", "--age", RECIPIENT, "--filename-override", "s.yaml", stdin=PLAIN)
    assert ours.code == 0, ours.err
    shell.write("s.yaml", ours.out)
    assert shell.sops("decrypt", "s.yaml").out == PLAIN
    assert shell.agent("decrypt", "s.yaml").out == PLAIN
    shell.env("SOPS_AGE_KEY", OTHER)
    refused = shell.agent("decrypt", toy)
    assert refused.code == 128
    assert "no matching private key: none of the age identities belongs to this recipient" in refused.err


def test_a_plugin_that_is_missing_is_named(shell: Shell, toy: str) -> None:
    shell.folder.joinpath("bin/age-plugin-toy").unlink()
    refused = shell.agent("decrypt", toy)
    assert refused.code == 128
    assert "the plugin of an age identity is not installed (plugin age-plugin-toy, source SOPS_AGE_KEY)" in refused.err
    assert IDENTITY not in refused.err
    shell.write("s.yaml", PLAIN)
    encrypted = shell.agent("encrypt", "--age", RECIPIENT, "s.yaml")
    assert encrypted.code == shell.sops("encrypt", "--age", RECIPIENT, "s.yaml").code == 1
    assert "the plugin of the age recipient is not installed (plugin age-plugin-toy)" in encrypted.err


@pytest.mark.parametrize("text", ["exit 1", "echo canary >&2; exit 1", "echo '-> canary'", "echo canary"])
def test_a_plugin_that_fails_is_reported(shell: Shell, toy: str, text: str) -> None:
    shell.write("bin/age-plugin-toy", f"#!/bin/sh\n{text}\n").chmod(0o700)
    refused = shell.agent("decrypt", toy)
    assert refused.code == 128
    assert "internal error" not in refused.err
    encrypted = shell.agent("encrypt", "--age", RECIPIENT, "--filename-override", "s.yaml", stdin=PLAIN)
    assert encrypted.code == 1
    assert "the plugin does not encrypt for the age recipient" in encrypted.err


@pytest.mark.parametrize(
    ("question", "answers"),
    [
        ("request-secret", [("age-plugin-toy: the word?", "canary")]),
        ("request-public", [("age-plugin-toy: the word?", "canary")]),
        ("confirm", [("open it? 1 for [now], 2 for [never]:", "1")]),
        ("msg", []),
    ],
)
def test_a_plugin_asks_at_the_terminal(shell: Shell, toy: str, question: str, answers: list[tuple[str, str]]) -> None:
    shell.env("QUESTION", question)
    command = (sys.executable, "-m", "agent.cli.main", "decrypt", toy)
    code, shown = terminals.run(command, answers, cwd=shell.folder)
    assert (code, shown.splitlines()[-1]) == (0, "a: hunter2")
    assert "\x1b[31m" not in shown
    assert ("canary" in shown) == (question == "request-public")
    if answers:
        code, shown = terminals.run(command, [(answers[0][0], "2")], cwd=shell.folder)
        assert code == 128
