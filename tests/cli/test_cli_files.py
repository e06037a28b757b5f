"""Files are replaced at once and stay whose they were, and what is no file is written to."""

from __future__ import annotations

import os
import stat
import subprocess
import threading
from typing import TYPE_CHECKING

import processes
import pytest

from agent.cli import files
from agent.values.errors import WriteError

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Shell


@pytest.fixture
def sealed(shell: Shell) -> Path:
    made = shell.agent("encrypt", "--age", shell.recipient, "--filename-override", "s.yaml", stdin=b"a: canary\n")
    return shell.write("s.yaml", made.out)


@pytest.mark.parametrize(
    "command", [["set", "s.yaml", '["a"]', "1"], ["decrypt", "-i", "s.yaml"], ["rotate", "-i", "s.yaml"]]
)
def test_mode_and_owner_stay_and_links_lead_where_they_led(shell: Shell, sealed: Path, command: list[str]) -> None:
    sealed.chmod(0o604)
    owner = (os.geteuid(), os.getegid())
    if owner[0] == 0:
        owner = (65534, 65533)
        os.chown(sealed, *owner)
    link = shell.folder / "link.yaml"
    link.symlink_to("s.yaml")
    inode = sealed.stat().st_ino
    assert shell.agent(*("link.yaml" if each == "s.yaml" else each for each in command)).code == 0
    now = sealed.stat()
    assert (stat.S_IMODE(now.st_mode), now.st_uid, now.st_gid) == (0o604, *owner)
    assert now.st_ino != inode
    assert link.is_symlink()
    assert sorted(each.name for each in shell.folder.iterdir()) == ["link.yaml", "s.yaml"]


def test_the_output_may_be_a_device_or_a_pipe(shell: Shell, sealed: Path) -> None:
    assert processes.run("decrypt", "--output", "/dev/stdout", "s.yaml").stdout == b"a: canary\n"
    assert processes.run("decrypt", "--output", "/dev/null", "s.yaml").returncode == 0
    with (shell.folder / "out").open("wb") as out:
        subprocess.run(
            [*processes.AGENT, "decrypt", "--output", "/dev/stdout", "s.yaml"], stdout=out, check=True, cwd=shell.folder
        )
    assert (shell.folder / "out").read_bytes() == b"a: canary\n"
    pipe = shell.folder / "pipe"
    os.mkfifo(pipe)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    assert shell.agent("decrypt", "--output", "pipe", "s.yaml").code == 0
    reader.join()
    assert read == [b"a: canary\n"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_new_file_is_as_the_umask_says(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        files.write(str(tmp_path / "new"), b"x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o640


@pytest.mark.parametrize("error", [PermissionError(1, "x"), OSError(16, "x")], ids=["of another user", "a mount"])
def test_a_file_that_cannot_be_replaced_is_written_into(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: OSError
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"something longer")
    inode = path.stat().st_ino

    def refuse(source: str, target: str) -> None:
        raise error

    monkeypatch.setattr("os.replace", refuse)
    files.write(str(path), b"new")
    assert (path.read_bytes(), path.stat().st_ino) == (b"new", inode)
    assert [each.name for each in tmp_path.iterdir()] == ["file"]
    with pytest.raises(WriteError):
        files.write(str(tmp_path / "none"), b"new")
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def refuse(descriptor: int) -> None:
        raise OSError(28, "no space")

    monkeypatch.setattr("os.fsync", refuse)
    with pytest.raises(WriteError):
        files.write(str(path), b"new")
    assert path.read_bytes() == b"old"
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("name", ["", "folder", "none/file"])
def test_what_is_no_place_for_a_file(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(WriteError):
        files.write(str(tmp_path / name), b"x")
