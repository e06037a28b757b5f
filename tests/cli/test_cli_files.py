"""Files are replaced at once and stay whose they were, and what is no file is written to."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import stat
import subprocess
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import processes
import pytest

from agent.cli.errors import WriteError
from agent.cli.files import content

if TYPE_CHECKING:
    from collections.abc import Iterator

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


def test_an_open_file_keeps_what_was_written_before(shell: Shell, sealed: Path) -> None:
    out = shell.folder / "out"
    (shell.folder / "link").symlink_to("/dev/stdout")
    for mode, target in [("wb", "/dev/stdout"), ("ab", "/dev/fd/1"), ("ab", "/proc/self/fd/1"), ("ab", "link")]:
        with out.open(mode) as stream:
            stream.write(b"before\n")
            stream.flush()
            inode = out.stat().st_ino
            subprocess.run(
                [*processes.AGENT, "decrypt", "--output", target, "s.yaml"],
                stdout=stream,
                check=True,
                cwd=shell.folder,
            )
            assert out.stat().st_ino == inode
    assert out.read_bytes() == 4 * b"before\na: canary\n"


@pytest.fixture
def in_memory() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(dir="/dev/shm"))
    yield folder
    shutil.rmtree(folder)


def _small_files() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (4, 4))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)


def test_a_file_in_shared_memory_is_replaced_too(shell: Shell, sealed: Path, in_memory: Path) -> None:
    out, link = in_memory / "out", in_memory / "link"
    link.symlink_to("out")
    command = [*processes.AGENT, "decrypt", "--output", str(link), "s.yaml"]
    out.write_bytes(b"old")
    inode = out.stat().st_ino
    failed = subprocess.run(command, check=False, capture_output=True, cwd=shell.folder, preexec_fn=_small_files)
    assert b"cannot be written" in failed.stderr
    assert (out.read_bytes(), out.stat().st_ino) == (b"old", inode)
    subprocess.run(command, check=True, cwd=shell.folder)
    assert out.read_bytes() == b"a: canary\n"
    assert out.stat().st_ino != inode
    assert sorted(each.name for each in in_memory.iterdir()) == ["link", "out"]
    assert link.is_symlink()


def test_a_new_file_is_as_the_umask_says(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        content.write(str(tmp_path / "new"), b"x")
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
    content.write(str(path), b"new")
    assert (path.read_bytes(), path.stat().st_ino) == (b"new", inode)
    assert [each.name for each in tmp_path.iterdir()] == ["file"]
    with pytest.raises(WriteError):
        content.write(str(tmp_path / "none"), b"new")
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def refuse(descriptor: int) -> None:
        raise OSError(28, "no space")

    monkeypatch.setattr("os.fsync", refuse)
    with pytest.raises(WriteError):
        content.write(str(path), b"new")
    assert path.read_bytes() == b"old"
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_in_between_leaves_the_old_file_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    handler = signal.getsignal(number)

    def interrupt(descriptor: int) -> None:
        assert len(list(tmp_path.iterdir())) == 2
        signal.raise_signal(number)

    monkeypatch.setattr("os.fsync", interrupt)
    with pytest.raises(KeyboardInterrupt if number is signal.SIGINT else SystemExit) as caught:
        content.write(str(path), b"new")
    assert caught.value.args == (() if number is signal.SIGINT else (128 + number,))
    assert path.read_bytes() == b"old"
    assert [each.name for each in tmp_path.iterdir()] == ["file"]
    assert signal.getsignal(number) is handler


def test_an_ignored_signal_stays_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.fsync", lambda _: signal.raise_signal(signal.SIGHUP))
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        content.write(str(tmp_path / "file"), b"new")
    finally:
        signal.signal(signal.SIGHUP, before)
    assert (tmp_path / "file").read_bytes() == b"new"


@pytest.mark.parametrize("name", ["", "folder", "none/file"])
def test_what_is_no_place_for_a_file(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(WriteError):
        content.write(str(tmp_path / name), b"x")


@pytest.mark.parametrize("comment", [b"caf\xe9", b"a\x01b"])
@pytest.mark.parametrize("target", ["yaml", "dotenv", "json"])
def test_a_comment_that_yaml_cannot_hold_is_reported(shell: Shell, comment: bytes, target: str) -> None:
    plain = b"#" + comment + b"\nA=x\n"
    made = shell.agent("encrypt", "--age", shell.recipient, "--filename-override", "s.env", stdin=plain)
    shell.write("s.env", made.out)
    done = shell.agent("decrypt", "--output-type", target, "--output", "out", "s.env")
    if target == "yaml":
        assert done.code == 4
        assert "s.env: a comment" in done.err
        assert not (shell.folder / "out").exists()
        as_yaml = shell.agent("decrypt", "--output-type", "yaml", "--extract", '["A"]', "s.env")
        assert as_yaml.out == b"x"
    else:
        assert done.code == 0
        assert (shell.folder / "out").read_bytes() == (plain if target == "dotenv" else b'{\n\t"A": "x"\n}\n')
