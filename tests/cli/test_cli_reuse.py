"""What did not change since the earlier encrypted version keeps its ciphertext, in Git or beside the file, across processes."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Shell

PLAIN = """\
# A note
a: canary-one

list:
  - one
  - two
  - one
nested: {x: 1.5, 'y': true}   # inline
text: |
    several
    lines
"""
FILES = {
    "s.yaml": PLAIN,
    "s.json": '{\n  "a": "canary-one",\n  "list": ["one", 2, "one"]\n}\n',
    "s.env": "# note\na=canary-one\nb=2\n",
    "s.ini": "[x]\na = canary-one\nb = 2\n",
}


def git(shell: Shell, *arguments: str) -> bytes:
    names = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false")
    done = subprocess.run(["git", *names, *arguments], cwd=shell.folder, capture_output=True, check=True)
    return done.stdout


def commit(shell: Shell, name: str, data: bytes) -> None:
    if not (shell.folder / ".git").exists():
        git(shell, "init", "-q")
    shell.write(name, data)
    git(shell, "add", "--", name)
    git(shell, "commit", "-q", "-m", "secrets")


def encrypt(shell: Shell, *arguments: str, recipients: str = "") -> str:
    done = shell.agent("encrypt", "--age", recipients or shell.recipient, *arguments)
    assert done.code == 0, done.err
    return done.err


def made(shell: Shell, name: str, text: str) -> bytes:
    """The encrypted file, in a folder where nothing is beside it."""
    done = shell.agent("encrypt", "--age", shell.recipient, "--filename-override", f"other/{name}", stdin=text.encode())
    assert done.code == 0, done.err
    return done.out


def changed(before: bytes, after: bytes) -> set[str]:
    """The keys of lines that differ."""
    old, new = before.decode().splitlines(), after.decode().splitlines()
    assert len(old) == len(new)
    return {
        line.strip(' "').replace('"', "").replace("=", ":").split(":")[0].split()[0]
        for one, line in zip(old, new, strict=True)
        if one != line
    }


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_did_not_change_is_the_file_in_git_byte_for_byte(shell: Shell, name: str) -> None:
    data = made(shell, name, FILES[name])
    commit(shell, name, data)
    assert shell.agent("decrypt", "-i", name).code == 0
    assert (shell.folder / name).read_text() == FILES[name]
    shown = encrypt(shell, "-i", name)
    assert (shell.folder / name).read_bytes() == data
    assert "nothing changed" in shown
    assert git(shell, "status", "--porcelain", "--untracked-files=no") == b""


@pytest.mark.parametrize("name", FILES)
def test_one_edit_changes_one_value(shell: Shell, name: str) -> None:
    data = made(shell, name, FILES[name])
    commit(shell, name, data)
    shell.write(name, FILES[name].replace("canary-one", "canary-two"))
    assert "values that did not change keep their ciphertext" in encrypt(shell, "-i", name)
    after = (shell.folder / name).read_bytes()
    assert {each.removeprefix("sops_") for each in changed(data, after)} <= {"a", "mac", "lastmodified"}
    assert b"canary" not in after
    assert shell.agent("decrypt", name).out.decode() == FILES[name].replace("canary-one", "canary-two")
    assert b"canary-two" in shell.sops("decrypt", name).out


def test_files_of_sops_are_kept_too(shell: Shell) -> None:
    shell.write("s.yaml", PLAIN)
    assert shell.sops("encrypt", "-i", "--age", shell.recipient, "s.yaml").code == 0
    data = (shell.folder / "s.yaml").read_bytes()
    commit(shell, "s.yaml", data)
    for flags in ((), ("--sops-format",)):
        assert shell.agent("decrypt", "-i", *flags, "s.yaml").code == 0
        encrypt(shell, "-i", *flags, "s.yaml")
        assert (shell.folder / "s.yaml").read_bytes() == data
        assert shell.sops("decrypt", "-i", "s.yaml").code == 0
        encrypt(shell, "-i", *flags, "--sops-format", "s.yaml")
        assert (shell.folder / "s.yaml").read_bytes() == data


@pytest.mark.parametrize(
    ("old", "arguments"),
    [
        ("out.yaml", ("--output", "out.yaml", "s.yaml")),
        ("s.enc.yaml", ("s.yaml",)),
        ("s.sops.yaml", ("s.yaml",)),
        ("s.enc.yaml", ("--output", "s.enc.yaml", "s.yaml")),
    ],
)
def test_an_earlier_version_beside_it(shell: Shell, old: str, arguments: tuple[str, ...]) -> None:
    data = made(shell, "s.yaml", PLAIN)
    shell.write(old, data)
    shell.write("s.yaml", PLAIN.replace("canary-one", "canary-two"))
    done = shell.agent("encrypt", "--age", shell.recipient, *arguments)
    after = done.out or (shell.folder / old).read_bytes()
    assert changed(data, after) == {"a", "mac"} | ({"lastmodified"} & changed(data, after))
    shell.write("s.yaml", PLAIN)
    shell.write(old, data)
    done = shell.agent("encrypt", "--age", shell.recipient, *arguments)
    assert (done.out or (shell.folder / old).read_bytes()) == data


def test_the_staged_version_comes_before_the_committed_one(shell: Shell) -> None:
    commit(shell, "s.yaml", made(shell, "s.yaml", PLAIN))
    staged = made(shell, "s.yaml", PLAIN.replace("two", "three"))
    shell.write("s.yaml", staged)
    git(shell, "add", "s.yaml")
    shell.agent("decrypt", "-i", "s.yaml")
    encrypt(shell, "-i", "s.yaml")
    assert (shell.folder / "s.yaml").read_bytes() == staged
    # What is staged in the clear is of no use; the commit is.
    shell.write("s.yaml", PLAIN)
    git(shell, "add", "s.yaml")
    encrypt(shell, "-i", "s.yaml")
    assert (shell.folder / "s.yaml").read_bytes() == git(shell, "show", "HEAD:s.yaml")


def test_a_file_in_a_folder_and_from_a_pipe(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    data = made(shell, "s.yaml", PLAIN)
    commit(shell, "deep/er/s.yaml", data)
    monkeypatch.chdir(shell.folder / "deep")
    piped = shell.agent("encrypt", "--age", shell.recipient, "--filename-override", "er/s.yaml", stdin=PLAIN.encode())
    assert piped.out == data


def values(data: bytes) -> list[str]:
    text = data.decode()
    return [line for line in text[: text.index("\nsops:")].splitlines() if "ENC[" in line]


def other_key(shell: Shell, name: str = "other.txt") -> str:
    return shell.agent("keygen", "-o", name).err.split()[-1]


def test_a_recipient_that_is_added_opens_the_same_values(shell: Shell) -> None:
    data = made(shell, "s.yaml", PLAIN)
    commit(shell, "s.yaml", data)
    other = other_key(shell)
    shell.agent("decrypt", "-i", "s.yaml")
    encrypt(shell, "-i", "s.yaml", recipients=f"{shell.recipient},{other}")
    after = (shell.folder / "s.yaml").read_bytes()
    assert values(after) == values(data)
    assert b"\n".join(data.split(b"enc: |")[1].splitlines()[1:6]) in after
    shell.env("SOPS_AGE_KEY", None)
    shell.env("SOPS_AGE_KEY_FILE", str(shell.folder / "other.txt"))
    assert shell.sops("decrypt", "s.yaml").code == 0


def test_a_recipient_that_is_removed_makes_everything_new(shell: Shell) -> None:
    other = other_key(shell)
    shell.write("s.yaml", PLAIN)
    encrypt(shell, "-i", "s.yaml", recipients=f"{shell.recipient},{other}")
    data = (shell.folder / "s.yaml").read_bytes()
    commit(shell, "s.yaml", data)
    shell.agent("decrypt", "-i", "s.yaml")
    shown = encrypt(shell, "-i", "s.yaml")
    after = (shell.folder / "s.yaml").read_bytes()
    assert not set(values(after)) & set(values(data))
    assert data.split(b"enc: |")[1] != after.split(b"enc: |")[1]
    assert "a new data key" in shown
    # Who was removed cannot open it, neither by an entry of its own nor by the data key that it knew.
    shell.env("SOPS_AGE_KEY", None)
    shell.env("SOPS_AGE_KEY_FILE", str(shell.folder / "other.txt"))
    assert shell.agent("decrypt", "s.yaml").code == 128


def test_a_version_that_was_altered_is_not_used(shell: Shell) -> None:
    data = made(shell, "s.yaml", PLAIN)
    lines = data.decode().splitlines()
    one, two, _ = (index for index, line in enumerate(lines) if line.startswith("  - ENC["))
    lines[one], lines[two] = lines[two], lines[one]
    altered = "\n".join(lines).encode() + b"\n"
    commit(shell, "s.yaml", altered)
    shell.write("s.yaml", PLAIN)
    shown = encrypt(shell, "-i", "s.yaml")
    assert "the file was altered after it was encrypted" in shown
    assert not set(values((shell.folder / "s.yaml").read_bytes())) & set(values(data))


@pytest.mark.parametrize(("values", "again"), [((1, 2, 3, 4), True), ((1, 2, 9, 9), True), ((1, 9, 9, 9), False)])
def test_a_version_of_other_values_may_be_planted_and_is_not_used(
    shell: Shell, values: tuple[int, ...], again: bool
) -> None:
    """Its author knows its data key, but without a private key not the values that were there before."""

    def text(values: tuple[int, ...]) -> str:
        return "".join(f"k{number}: canary-{value}\n" for number, value in enumerate(values)) + "x_unencrypted: same\n"

    data = made(shell, "s.yaml", text((1, 2, 3, 4)))
    commit(shell, "s.yaml", data)
    shell.write("s.yaml", text(values))
    shown = encrypt(shell, "-i", "s.yaml")
    after = (shell.folder / "s.yaml").read_bytes()
    keys = [each.split(b"enc: |")[1].split(b"recipient")[0] for each in (data, after)]
    assert (keys[0] == keys[1]) is again
    assert ("most values differ" in shown) is not again
    assert bool(set(data.splitlines()[:4]) & set(after.splitlines()[:4])) is again
    assert shell.sops("decrypt", "s.yaml").out.decode() == text(values)


def test_without_a_key_or_on_demand_everything_is_new(shell: Shell) -> None:
    data = made(shell, "s.yaml", PLAIN)
    commit(shell, "s.yaml", data)
    shell.write("s.yaml", PLAIN)
    encrypt(shell, "-i", "--fresh", "s.yaml")
    fresh = (shell.folder / "s.yaml").read_bytes()
    assert not set(values(fresh)) & set(values(data))
    shell.write("s.yaml", PLAIN)
    identity = shell.identity
    shell.env("SOPS_AGE_KEY", None)
    assert "does not open with an available key" in encrypt(shell, "-i", "s.yaml")
    shell.env("SOPS_AGE_KEY", identity)
    assert not set(values((shell.folder / "s.yaml").read_bytes())) & set(values(data))


def test_another_selection_is_honoured(shell: Shell) -> None:
    data = made(shell, "s.yaml", PLAIN)
    commit(shell, "s.yaml", data)
    shell.write("s.yaml", PLAIN)
    encrypt(shell, "-i", "--encrypted-regex", "^(a|text)$", "--mac-only-encrypted", "s.yaml")
    after = (shell.folder / "s.yaml").read_bytes()
    assert set(values(after)) < set(values(data))
    assert len(values(after)) == 2
    assert b"- two" in after
    assert shell.sops("decrypt", "s.yaml").code == 0


def test_a_tree_keeps_each_files_own(shell: Shell) -> None:
    shell.write(".sops.yaml", f"creation_rules:\n  - age: {shell.recipient}\n")
    before = {f"t/{number}.yaml": made(shell, "s.yaml", f"a: canary-{number}\nb: same\n") for number in range(3)}
    for name, data in before.items():
        commit(shell, name, data)
    assert shell.agent("decrypt", "-i", "t").code == 0
    shell.write("t/1.yaml", "a: canary-x\nb: same\n")
    done = shell.agent("encrypt", "-i", "t")
    assert done.code == 0
    assert (
        "nothing changed since the earlier version, which stays as it was; --fresh makes everything new (2 files)"
        in (done.err)
    )
    for name, data in before.items():
        after = (shell.folder / name).read_bytes()
        assert changed(data, after) <= ({"a", "mac", "lastmodified"} if "1" in name else set())


def test_what_git_has_in_the_clear_is_warned_of(shell: Shell) -> None:
    commit(shell, "s.yaml", PLAIN.encode())
    assert "Git has s.yaml in the clear" in encrypt(shell, "-i", "s.yaml")


def test_nothing_of_a_repository_is_run(shell: Shell) -> None:
    data = made(shell, "s.yaml", PLAIN)
    commit(shell, "s.yaml", data)
    script = shell.write("evil.sh", f"#!/bin/sh\ntouch {shell.folder}/evil\ncat\n")
    script.chmod(0o700)
    shell.write(".gitattributes", "*.yaml filter=evil diff=evil\n")
    for name in ("filter.evil.smudge", "filter.evil.clean", "diff.evil.textconv", "core.fsmonitor", "core.pager"):
        git(shell, "config", name, str(script))
    shell.write("s.yaml", PLAIN)
    shell.env("GIT_DIR", "/nowhere")
    encrypt(shell, "-i", "s.yaml")
    assert (shell.folder / "s.yaml").read_bytes() == data
    assert not (shell.folder / "evil").exists()


def test_a_repository_that_git_cannot_read_has_nothing(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    (shell.folder / ".git").mkdir()
    for path in (os.environ["PATH"], ""):
        monkeypatch.setenv("PATH", path)
        shell.write("s.yaml", PLAIN)
        encrypt(shell, "-i", "s.yaml")
        assert "ENC[" in Path("s.yaml").read_text()
