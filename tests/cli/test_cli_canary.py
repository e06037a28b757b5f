"""Known values and keys go through every command on secrets, and are searched for wherever they do not belong.

What a command is asked to print it prints; standard error, reports, files, names and arguments of children hold nothing of it.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from houses import GIVEN_KEY, PLAIN, TEXTS, VALUE, House, house

from testbed import sealing

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["house"]

GIT_INIT = ("git", "init", "-q")


@dataclass(frozen=True)
class Case:
    """A command line, its exit code, and what is done before it."""

    arguments: tuple[str, ...]
    code: int = 0
    before: Callable[[House], object] | None = None
    asked: bool = False
    stdin: bytes = b""


def wrong_key(house: House) -> None:
    house.shell.env("SOPS_AGE_KEY", house.stranger)


def no_key(house: House) -> None:
    house.shell.env("SOPS_AGE_KEY", None)


def bad_key(house: House) -> None:
    house.shell.env("SOPS_AGE_KEY", GIVEN_KEY)


def bad_key_file(house: House) -> None:
    no_key(house)
    house.shell.env("SOPS_AGE_KEY_FILE", house.give("keys.txt", f"{VALUE}\n{house.shell.identity}x\n"))


def key_command_that_fails(house: House) -> None:
    no_key(house)
    house.shell.env("SOPS_AGE_KEY_CMD", house.script("keys", f"echo '{house.shell.identity}'; exit 3"))


def key_command_that_talks(house: House) -> None:
    no_key(house)
    house.shell.env("SOPS_AGE_KEY_CMD", house.script("keys", f"echo '{house.shell.identity}x {PLAIN['value']}'"))


def flipped(house: House) -> None:
    for name in TEXTS:
        text = (house.folder / name).read_text()
        # Of a value: a comment that does not open stays as it is.
        at = text.index("ENC[AES256_GCM,data:", max(text.find("password"), 0)) + 22
        (house.folder / name).write_text(text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :])


def altered(house: House) -> None:
    house.change("s.yaml", "readable", "altered")


def written_by_hand(house: House) -> None:
    text = (house.folder / "s.yaml").read_text()
    house.give("hand.yaml", re.sub("password: .*", lambda _: f"password: {json.dumps(VALUE)}", text))


def rules(house: House) -> None:
    house.shell.write(".sops.yaml", f"creation_rules:\n  - age: {house.shell.recipient},{house.recipient}\n")


def broken_text(house: House) -> None:
    house.give("broken.yaml", f"a: [{PLAIN['deep']}\nb: {json.dumps(VALUE)} {PLAIN['value']}\n")


def editor(text: str) -> Callable[[House], None]:
    return lambda house: house.shell.env("SOPS_EDITOR", house.script("editor", text))


CASES = {
    "encrypt": Case(("encrypt", "--age", "{recipient}", "{given}/s.yaml"), before=rules),
    "encrypt to a file": Case(("encrypt", "--age", "{recipient}", "--output", "new.yaml", "{given}/s.yaml")),
    "encrypt as sops lays out": Case(("encrypt", "--sops-format", "--age", "{recipient}", "{given}/s.yaml")),
    "encrypt what is encrypted": Case(("encrypt", "--age", "{recipient}", "s.yaml"), 203),
    "encrypt what does not parse": Case(("encrypt", "--age", "{recipient}", "{given}/broken.yaml"), 2, broken_text),
    "encrypt without a recipient": Case(("encrypt", "{given}/s.yaml"), 1),
    "encrypt for no key": Case(("encrypt", "--age", "age1nonsense", "{given}/s.yaml"), 1),
    "encrypt for a private key": Case(("encrypt", "--age", GIVEN_KEY, "{given}/s.yaml"), 1),
    "encrypt into a folder that is not there": Case(
        ("encrypt", "--age", "{recipient}", "--output", "none/x.yaml", "{given}/s.yaml"), 3
    ),
    "encrypt checks": Case(("encrypt", "--check", "--age", "{recipient}", "{given}/s.yaml"), 1),
    **{f"decrypt {name}": Case(("decrypt", name), asked=True) for name in TEXTS},
    **{f"decrypt {name} that was damaged": Case(("decrypt", name), 25, flipped) for name in TEXTS},
    "decrypt a part": Case(("decrypt", "--extract", '["list"][1]', "s.yaml"), asked=True),
    "decrypt a part that is not there": Case(("decrypt", "--extract", '["list"][7]', "s.yaml"), 1),
    "decrypt as another type": Case(("decrypt", "--output-type", "json", "s.yaml"), asked=True),
    "decrypt to a type that cannot hold it": Case(("decrypt", "--output-type", "dotenv", "s.yaml"), 4),
    "decrypt what was altered": Case(("decrypt", "s.yaml"), 51, altered),
    "decrypt what was altered all the same": Case(("decrypt", "--ignore-mac", "s.yaml"), 0, altered, asked=True),
    "decrypt what was written by hand": Case(("decrypt", "{given}/hand.yaml"), 25, written_by_hand),
    "decrypt what is not encrypted": Case(("decrypt", "{given}/s.yaml"), 1),
    "decrypt with another's key": Case(("decrypt", "s.yaml"), 128, wrong_key),
    "decrypt with no key": Case(("decrypt", "s.yaml"), 128, no_key),
    "decrypt with what is no key": Case(("decrypt", "s.yaml"), 128, bad_key),
    "decrypt with a file that is no key": Case(("decrypt", "s.yaml"), 128, bad_key_file),
    "decrypt with a command that fails": Case(("decrypt", "s.yaml"), 128, key_command_that_fails),
    "decrypt with a command that says something else": Case(("decrypt", "s.yaml"), 128, key_command_that_talks),
    "edit": Case(("edit", "s.yaml"), 0, editor('sed -i s/readable/other/ "$1"')),
    "edit nothing": Case(("edit", "s.yaml"), 200, editor("true")),
    "edit and fail": Case(("edit", "s.yaml"), 201, editor('echo x >>"$1"; exit 3')),
    "edit and be killed": Case(("edit", "s.yaml"), 201, editor('echo x >>"$1"; kill -9 $$')),
    "edit into what does not parse": Case(("edit", "s.yaml"), 201, editor('sed -i "s/^number: /number: [/" "$1"')),
    "edit with keys shown": Case(("edit", "-s", "s.yaml"), 0, editor('sed -i s/readable/other/ "$1"')),
    "edit with another's key": Case(("edit", "s.yaml"), 128, wrong_key),
    "edit what was altered": Case(("edit", "s.yaml"), 51, altered),
    "set": Case(("set", "--value-stdin", "s.yaml", '["new"]'), stdin=json.dumps(VALUE).encode()),
    "set a value of a file": Case(("set", "--value-file", "s.yaml", '["new"]', "{given}/s.json")),
    "set what is no JSON": Case(("set", "--value-stdin", "s.yaml", '["new"]'), 7, stdin=f'{{"{VALUE}'.encode()),
    "set at what is no place": Case(("set", "--value-stdin", "s.yaml", '["a'), 7, stdin=json.dumps(VALUE).encode()),
    "set with another's key": Case(("set", "--value-stdin", "s.yaml", '["new"]'), 128, wrong_key, stdin=b"1"),
    "unset": Case(("unset", "s.yaml", '["list"]')),
    "unset what is not there": Case(("unset", "s.yaml", '["none"]'), 1),
    "rotate": Case(("rotate", "-i", "s.yaml")),
    "rotate for one more": Case(("rotate", "-i", "--add-age", "{other}", "s.yaml")),
    "rotate what was altered": Case(("rotate", "-i", "s.yaml"), 51, altered),
    "updatekeys": Case(("updatekeys", "-y", "s.yaml"), 0, rules),
    "updatekeys as a report": Case(("updatekeys", "--dry-run", "-o", "json", "s.yaml", "s.json"), 0, rules),
    "updatekeys with another's key": Case(("updatekeys", "-y", "s.yaml"), 128, lambda h: (rules(h), wrong_key(h))),
    "groups add": Case(("groups", "add", "-i", "-f", "s.yaml", "--age", "{other}")),
    "groups delete": Case(("groups", "delete", "-i", "-f", "s.yaml", "7"), 2),
    "filestatus": Case(("filestatus", "s.yaml")),
    "filestatus of plaintext": Case(("filestatus", "{given}/s.yaml")),
    "verify": Case(("verify", ".")),
    "verify as a report": Case(("verify", "-o", "json", "."), 51, altered),
    "verify what was written by hand": Case(("verify", "-o", "json", "{given}/hand.yaml"), 1, written_by_hand),
    "verify what was damaged": Case(("verify", "s.yaml"), 25, flipped),
    "verify plaintext": Case(("verify", "{given}/s.yaml"), 1),
    "verify without a key": Case(("verify", "--require-mac", "s.yaml"), 128, no_key),
    "textconv": Case(("textconv", "--fingerprints", "s.yaml")),
    "textconv in the clear": Case(("textconv", "s.yaml"), asked=True),
    "textconv with another's key": Case(("textconv", "s.yaml"), 0, wrong_key),
    "resolve without a conflict": Case(("resolve", "s.yaml")),
    "keygen": Case(("keygen", "-o", "{given}/new.txt")),
    "keygen over a file": Case(("keygen", "-o", "{given}/s.yaml"), 3),
    "keygen of what is no key": Case(("keygen", "-y", "{given}/s.yaml"), 2),
    "a flag that there is not": Case(("decrypt", "--no-such-flag", "s.yaml"), 1),
    "git-setup": Case(
        ("git-setup", "--plaintext-diffs", "*.yaml"),
        before=lambda house: subprocess.run(GIT_INIT, check=True, cwd=house.folder),
    ),
    "git-setup where there is no repository": Case(("git-setup",), 2),
}


@pytest.mark.parametrize("name", CASES)
def test_nothing_is_where_it_does_not_belong(house: House, name: str) -> None:
    case = CASES[name]
    if case.before is not None:
        case.before(house)
    facts = {"recipient": house.shell.recipient, "other": house.recipient, "given": str(house.given)}
    arguments = [_filled(each, facts) for each in case.arguments]
    done = house.run(*arguments, asked=case.asked, stdin=case.stdin)
    assert done.code == case.code, done.err
    if case.asked:
        assert house.canaries.search_text(done.out, "what was asked for"), "the search would find it"


def _filled(text: str, facts: dict[str, str]) -> str:
    for name, fact in facts.items():
        text = text.replace(f"{{{name}}}", fact)
    return text


def test_a_merge_and_its_conflict_show_nothing(house: House) -> None:
    for side in ("base", "ours", "theirs"):
        shutil.copy(house.folder / "s.yaml", house.folder / f"{side}.yaml")
    for side in ("ours", "theirs"):
        house.run("set", "--value-stdin", f"{side}.yaml", '["password"]', stdin=json.dumps(f"{VALUE}{side}").encode())
    assert house.run("merge-driver", "base.yaml", "ours.yaml", "theirs.yaml", "s.yaml").code == 1
    assert b"<<<<<<<" in (house.folder / "ours.yaml").read_bytes()
    house.shell.env("SOPS_EDITOR", house.script("editor", 'grep -q "<<<<<<<" "$1"; exit 3'))
    assert house.run("resolve", "ours.yaml").code == 201
    assert house.run("resolve", "--theirs", "ours.yaml").code == 0
    wrong_key(house)
    assert house.run("merge-driver", "base.yaml", "s.yaml", "theirs.yaml", "s.yaml").code != 0


def test_a_migration_shows_nothing(house: House, tmp_path: Path) -> None:
    pair = sealing.pair(tmp_path / "given", "current")
    manifest = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db", "namespace": "shop"}}
    sealed = pair.seal(json.dumps({**manifest, "stringData": {"password": VALUE}}))
    house.shell.write("sealed.yaml", sealed)
    key = house.give("key.yaml", json.dumps(pair.manifest))
    flags = ("--sealing-key", key, "--age", house.shell.recipient)
    assert house.run("migrate", "sealed-secrets", *flags, "sealed.yaml").code == 0
    (house.folder / "sealed.yaml").write_text(re.sub("password: A.{40}", f"password: A{'A' * 40}", sealed))
    assert house.run("migrate", "sealed-secrets", *flags, "sealed.yaml").code != 0
    wrong = house.give("wrong.yaml", json.dumps(sealing.pair(tmp_path / "given", "other").manifest))
    assert house.run("migrate", "sealed-secrets", "--sealing-key", wrong, *flags[2:], "sealed.yaml").code != 0
