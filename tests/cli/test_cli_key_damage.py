"""The commands that change keys, on damaged files: the exit codes of sops, nothing written, no value shown."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from agent.adapters.keys import age

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Shell

OTHER = age.generate()[0]
PLAIN = b"a: canary\nb: 2\n"
DAMAGE: dict[str, Callable[[str], str]] = {
    "none": str,
    "not encrypted": lambda _: PLAIN.decode(),
    "no YAML": lambda _: "canary: [",
    "empty": lambda _: "",
    "a list": lambda _: "- canary\n",
    "cut in two": lambda text: text[: len(text) // 2],
    "no keys": lambda text: text.replace("    age:", "    ageing:"),
    "no MAC": lambda text: re.sub(r"(?m)^    mac:.*\n", "", text),
    "no time": lambda text: re.sub(r"(?m)^    lastmodified:.*\n", "", text),
    "no such time": lambda text: re.sub(r"lastmodified: .*", "lastmodified: yesterday", text),
    "a value in the clear": lambda text: re.sub(r"(?m)^b: .*", "b: 3", text),
    "a value of another type": lambda text: text.replace("type:int", "type:bool"),
    "a value of no type": lambda text: text.replace("type:int", "type:frog"),
    "a value gone": lambda text: re.sub(r"(?m)^b: .*\n", "", text),
    "another selector": lambda text: re.sub(r"unencrypted_suffix: .*", "encrypted_regex: none", text),
    "two selectors": lambda text: text + "    encrypted_regex: a\n",
    "a wrapped key that is none": lambda text: text.replace("AGE ENCRYPTED", "AGE DAMAGED"),
    "another recipient's name on the key": lambda text: re.sub(r"recipient: .*", f"recipient: {OTHER}", text),
}
COMMANDS = {
    "rotate": ("rotate", "-i", "s.yaml"),
    "updatekeys": ("updatekeys", "-y", "s.yaml"),
    "groups add": ("groups", "add", "-i", "--age", OTHER, "-f", "s.yaml"),
    "groups delete": ("groups", "delete", "-i", "--shamir-secret-sharing-threshold", "1", "-f", "s.yaml", "0"),
}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("damage", DAMAGE)
def test_the_exit_code_is_that_of_sops_and_nothing_is_written(shell: Shell, damage: str, command: str) -> None:
    made = shell.agent("encrypt", "--age", shell.recipient, "--filename-override", "s.yaml", stdin=PLAIN)
    text = DAMAGE[damage](made.out.decode())
    shell.write(".sops.yaml", f"creation_rules: [{{age: '{shell.recipient},{OTHER}'}}]\n")
    shell.write("s.yaml", text)
    theirs = shell.sops(*COMMANDS[command])
    path = shell.write("s.yaml", text)
    ours = shell.agent(*COMMANDS[command])
    assert ours.code == theirs.code, (ours.err, theirs.err)
    assert "internal error" not in ours.err
    assert "canary" not in ours.err
    if ours.code:
        assert path.read_text() == text
