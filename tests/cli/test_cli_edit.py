"""`agent edit`: only what was touched changes, and the plaintext lies in memory for as long as the editor is open."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from agent.cli.files import memory

if TYPE_CHECKING:
    from conftest import Shell

PLAIN = "# note\na: canary-one\nb: two\nc:\n    - 3\n    - 4\n"


@pytest.fixture
def file(shell: Shell) -> Path:
    made = shell.agent("encrypt", "--age", shell.recipient, "--filename-override", "s.yaml", stdin=PLAIN.encode())
    path = shell.write("s.yaml", made.out)
    path.chmod(0o640)
    return path


def edit_with(shell: Shell, script: str) -> None:
    """An editor that runs `script` with the file as $1, and notes what it was given."""
    path = shell.write(
        "editor.sh",
        f'#!/bin/sh\necho "$1" >{shell.folder}/seen\nstat -c %a "$(dirname "$1")" "$1" >>{shell.folder}/seen\n{script}\n',
    )
    path.chmod(0o700)
    shell.env("SOPS_EDITOR", f"'{path}'")


def test_an_edit_changes_only_what_it_touched(shell: Shell, file: Path) -> None:
    before = file.read_text().splitlines()
    edit_with(shell, 'sed -i s/two/TWO/ "$1"')
    assert shell.agent("edit", "s.yaml").code == 0
    after = file.read_text().splitlines()
    changed = {line.split(":")[0].strip() for old, line in zip(before, after, strict=True) if old != line}
    assert changed <= {"b", "mac", "lastmodified"}
    assert "b" in changed
    assert shell.sops("decrypt", "s.yaml").out.decode() == PLAIN.replace("two", "TWO")
    assert stat.S_IMODE(file.stat().st_mode) == 0o640


def test_the_plaintext_liesis_memory_and_is_gone_afterwards(shell: Shell, file: Path) -> None:
    edit_with(shell, 'sed -i s/two/TWO/ "$1"; cp "$1" "$1~"')
    assert shell.agent("edit", "s.yaml").code == 0
    name, folder_mode, mode = (shell.folder / "seen").read_text().split()
    assert name.startswith("/dev/shm/")
    assert name.endswith("/s.yaml")
    assert (folder_mode, mode) == ("700", "600")
    assert not Path(name).parent.exists()


def test_nothing_is_written_when_nothing_was_changed_or_the_editor_fails(shell: Shell, file: Path) -> None:
    before = file.read_bytes()
    edit_with(shell, "true")
    assert shell.agent("edit", "s.yaml").code == 200
    edit_with(shell, 'echo x >>"$1"; exit 3')
    result = shell.agent("edit", "s.yaml")
    assert result.code == 201
    assert "exit 3" in result.err
    shell.env("SOPS_EDITOR", "/no/such/editor")
    assert shell.agent("edit", "s.yaml").code == 201
    shell.env("SOPS_EDITOR", "'")
    assert shell.agent("edit", "s.yaml").code == 201
    assert file.read_bytes() == before
    assert not Path((shell.folder / "seen").read_text().split()[0]).exists()


def test_what_does_not_parse_can_be_corrected(shell: Shell, file: Path) -> None:
    edit_with(
        shell,
        'if grep -q "\\[" "$1"; then sed -i "s/b: .*/b: better/" "$1"; else sed -i "s/b: .*/b: [canary/" "$1"; fi',
    )
    result = shell.agent("edit", "s.yaml", stdin=b"\n")
    assert result.code == 0
    assert "s.yaml:" in result.err
    assert "canary" not in result.err
    assert b"b: better" in shell.agent("decrypt", "s.yaml").out


def test_or_be_given_up(shell: Shell, file: Path) -> None:
    before = file.read_bytes()
    edit_with(shell, 'echo "1: x" >>"$1"')
    result = shell.agent("edit", "s.yaml")
    assert result.code == 201
    assert "a key is not a string" in result.err
    assert file.read_bytes() == before


def test_a_new_file_starts_from_an_example(shell: Shell) -> None:
    edit_with(shell, 'sed -i s/example_value1/mine/ "$1"')
    assert shell.agent("edit", "new.yaml").code == 1
    assert shell.agent("edit", "--age", shell.recipient, "new.json").code == 0
    assert b'"mine"' in shell.sops("decrypt", "new.json").out


def test_the_sops_entry_can_be_seen_and_not_changed(shell: Shell, file: Path) -> None:
    edit_with(shell, 'grep -q "recipient: age1" "$1" && sed -i s/two/TWO/ "$1"')
    assert shell.agent("edit", "-s", "s.yaml").code == 0
    assert b"b: TWO" in shell.sops("decrypt", "s.yaml").out
    edit_with(shell, 'sed -i s/_unencrypted/_other/ "$1"')
    assert shell.agent("edit", "--show-master-keys", "s.yaml").code == 201


def test_without_tmpfs_the_disk_is_used_only_when_allowed(
    shell: Shell, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "is_memory", lambda place: False)
    edit_with(shell, 'sed -i s/two/TWO/ "$1"')
    result = shell.agent("edit", "s.yaml")
    assert result.code == 201
    assert "--insecure-temporary-folder" in result.err
    assert not (shell.folder / "seen").exists()
    assert shell.agent("edit", "--insecure-temporary-folder", "s.yaml").code == 0


def test_memory_is_distinguished_from_disk() -> None:
    assert memory.is_memory(Path("/dev/shm"))
    assert not memory.is_memory(Path("/proc"))
    assert not memory.is_memory(Path(__file__).parent)


def test_a_folder_of_the_session_is_preferred_where_it_is_memory(shell: Shell, file: Path) -> None:
    shell.env("XDG_RUNTIME_DIR", str(shell.folder))
    edit_with(shell, 'sed -i s/two/TWO/ "$1"')
    assert shell.agent("edit", "s.yaml").code == 0
    assert (shell.folder / "seen").read_text().startswith("/dev/shm/")


def test_what_stays_encrypted_keeps_its_line_whatever_quotes_its_plaintext_needs(shell: Shell) -> None:
    shell.write("s.yaml", "n: \"123\"\nstar: '*x'\ncolon: 'a: b'\nplain: p\ny: \"y\"\n")
    assert shell.sops("encrypt", "--age", shell.recipient, "-i", "s.yaml").code == 0
    before = (shell.folder / "s.yaml").read_text().splitlines()
    shell.env("EDITOR", "sed -i 's/^plain:.*/plain: changed/'")
    assert shell.agent("edit", "s.yaml").code == 0
    after = (shell.folder / "s.yaml").read_text().splitlines()
    changed = [one.split(":")[0].strip() for one, other in zip(before, after, strict=True) if one != other]
    assert set(changed) <= {"plain", "lastmodified", "mac"}
    assert "plain" in changed
    assert "plain: changed\n" in shell.sops("decrypt", "s.yaml").out.decode()


@pytest.mark.parametrize("command", [["decrypt"], ["edit"], ["set", "s.yaml", '["a"]', '"b"'], ["verify", "--offline"]])
def test_conflict_markers_are_called_so(shell: Shell, command: list[str]) -> None:
    shell.write("s.yaml", "<<<<<<< ours\na: ENC[1]\n=======\na: ENC[2]\n>>>>>>> theirs\nsops:\n    lastmodified: x\n")
    done = shell.agent(*command, *(["s.yaml"] if "s.yaml" not in command else []))
    assert done.code == (2 if command[0] == "verify" else 1)
    assert "s.yaml: the file has conflicts of a merge" in done.err + done.out.decode()
    assert "agent resolve" in done.err


FLOW = 'a: x\nd: [ 1,2 ,  3 ]    # flow\n\nl: !!str 5\nm: {a: b}\nk: "q"\nt: |\n  one\n  two\n'


@pytest.mark.parametrize("way", ["edit", "decrypt and encrypt"])
def test_a_value_that_changes_is_a_line_that_changes_whatever_the_others_look_like(shell: Shell, way: str) -> None:
    shell.write(".sops.yaml", f"creation_rules:\n  - age: {shell.recipient}\n")
    shell.write("s.yaml", FLOW)
    assert shell.agent("encrypt", "-i", "s.yaml").code == 0
    stored = (shell.folder / "s.yaml").read_text()
    if way == "edit":
        shell.env("EDITOR", "sed -i 's/^a:.*/a: changed/'")
        assert shell.agent("edit", "s.yaml").code == 0
    else:
        shell.write("s.enc.yaml", stored)
        text = shell.agent("decrypt", "s.yaml").out.decode()
        shell.write("s.yaml", text.replace("a: x\n", "a: changed\n", 1))
        shell.write("s.yaml", shell.agent("encrypt", "s.yaml").out)
    before, after = stored.splitlines(), (shell.folder / "s.yaml").read_text().splitlines()
    changed = {one.split(":")[0].strip() for one, other in zip(before, after, strict=True) if one != other}
    assert "a" in changed
    assert changed <= {"a", "lastmodified", "mac"}
    assert "a: changed\n" in shell.sops("decrypt", "s.yaml").out.decode()
