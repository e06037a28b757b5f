"""`agent exec-env` and `agent exec-file` run a command as sops does, and leave nothing behind."""

from __future__ import annotations

import getpass
import os
import pwd
import signal
import stat
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import processes
import pytest

if TYPE_CHECKING:
    from conftest import Shell

ENV = "NAME=canary value\nMULTI=one\\ntwo\n# comment\nEMPTY=\nPATH_LIKE=/a:/b=c\n"
YAML = "name: canary\nnumber: 1.50\nwhole: 7\nyes: true\ntime: 2024-01-02T03:04:05Z\nnothing: null\n"


@pytest.fixture(autouse=True)
def files(shell: Shell) -> None:
    for name, text in (("s.env", ENV), ("s.yaml", YAML), ("deep.yaml", "a:\n    b: c\n"), ("s.txt", "some\0bytes")):
        shell.write(name, text)
        assert shell.agent("encrypt", "-i", "--age", shell.recipient, name).code == 0


def both(shell: Shell, *arguments: str) -> tuple[tuple[int, bytes], tuple[int, bytes]]:
    theirs, ours = shell.sops(*arguments), processes.run(*arguments)
    assert b"Traceback" not in ours.stderr
    return (ours.returncode, ours.stdout), (theirs.code, theirs.out)


@pytest.mark.parametrize(
    ("flags", "file", "command"),
    [
        ((), "s.env", 'echo "$NAME|$MULTI|$EMPTY|$PATH_LIKE|$HOME"'),
        ((), "s.yaml", 'echo "$name|$number|$whole|$yes|$time|$nothing"'),
        ((), "s.env", "exit 3"),
        ((), "s.env", "kill -9 $$"),
        ((), "s.env", "/no/such/command 2>/dev/null"),
        ((), "s.env", "cat"),
        ((), "deep.yaml", "true"),
        ((), "none.env", "true"),
        (("--pristine",), "s.env", 'echo "$NAME|$HOME"'),
        (("--same-process",), "s.env", 'echo "$NAME"; exit 4'),
        (("--same-process", "--background"), "s.env", "true"),
        (("--user", "no-such-user"), "s.env", "true"),
        (("--background",), "s.env", "exit 4"),
        ((), "s.env", ""),
    ],
)
def test_a_command_with_values_in_its_environment(
    shell: Shell, flags: tuple[str, ...], file: str, command: str
) -> None:
    ours, theirs = both(shell, "exec-env", *flags, file, command)
    assert ours == theirs


@pytest.mark.parametrize(
    ("flags", "file", "command"),
    [
        ((), "s.yaml", "cat {}"),
        ((), "s.txt", "cat {}"),
        ((), "s.yaml", "true {}"),
        ((), "s.yaml", "head -c 3 {}; exit 5"),
        ((), "s.yaml", "basename {}; test -p {} && echo pipe; stat -c %a {} $(dirname {})"),
        (("--filename", "x.yaml"), "s.yaml", "basename {}"),
        (("--no-fifo",), "s.yaml", "cat {} {}; test -f {} && echo plain; stat -c %a {} $(dirname {})"),
        (("--no-fifo", "--filename", "x.yaml"), "s.yaml", "basename {}"),
        (("--output-type", "json"), "s.yaml", "cat {}"),
        (("--filename", "/x"), "s.yaml", "true"),
        (("--filename", "../x"), "s.yaml", "true"),
        (("--filename", "a/x"), "s.yaml", "true"),
        (("--user", "no-such-user"), "s.yaml", "true"),
        ((), "none.yaml", "true"),
    ],
)
def test_a_command_with_the_plaintext_as_a_file(shell: Shell, flags: tuple[str, ...], file: str, command: str) -> None:
    ours, theirs = both(shell, "exec-file", *flags, file, command)
    assert ours == theirs


def test_a_plaintext_larger_than_a_pipe_holds(shell: Shell) -> None:
    shell.write("big.txt", os.urandom(300_000))
    shell.write("big.enc", shell.agent("encrypt", "--age", shell.recipient, "big.txt").out)
    ours = processes.run("exec-file", "big.enc", "sha256sum < {}")
    whole = subprocess.run(
        ["sha256sum"], input=(shell.folder / "big.txt").read_bytes(), capture_output=True, check=True
    )
    assert (ours.returncode, ours.stdout) == (0, whole.stdout)
    assert processes.run("exec-file", "big.enc", "head -c 10 {} >/dev/null; exit 6").returncode == 6


def test_standard_input_belongs_to_the_command(shell: Shell) -> None:
    assert processes.run("exec-env", "s.env", "cat", stdin=b"typed").stdout == b"typed"
    assert processes.run("exec-file", "s.yaml", "cat; cat {} >/dev/null", stdin=b"typed").stdout == b"typed"


@pytest.mark.parametrize("flags", [(), ("--no-fifo",)])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_reaches_the_command_and_the_file_is_gone(
    shell: Shell, flags: tuple[str, ...], number: signal.Signals
) -> None:
    with processes.start(
        "exec-file", *flags, "s.yaml", 'sleep 1000 & trap "kill $!; exit 42" TERM HUP INT; echo {}; wait'
    ) as agent:
        assert agent.stdout
        assert agent.stderr
        path = Path(agent.stdout.readline().decode().strip())
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        agent.send_signal(number)
        assert agent.wait(30) == 42
        assert agent.stderr.read() == b""
    assert not path.parent.exists()


def test_a_signal_gives_the_exit_code_that_shells_give(shell: Shell) -> None:
    with processes.start("exec-env", "s.env", "echo up; exec sleep 1000") as agent:
        assert agent.stdout
        agent.stdout.readline()
        agent.send_signal(signal.SIGTERM)
        assert agent.wait(30) == 128 + signal.SIGTERM


def test_plaintext_lies_in_memory_only(shell: Shell) -> None:
    ours = processes.run("exec-file", "--no-fifo", "s.yaml", "df --output=fstype $(dirname {}) | tail -n 1; echo {}")
    kind, path = ours.stdout.decode().split()
    assert kind == "tmpfs"
    assert not Path(path).parent.exists()


def test_values_are_in_no_environment_or_argument_but_the_command_s(shell: Shell) -> None:
    ours = processes.run(
        "exec-env", "s.env", "cat /proc/$PPID/environ /proc/$PPID/cmdline; echo; grep -c canary.value /proc/$$/environ"
    )
    before, _, count = ours.stdout.rstrip().rpartition(b"\n")
    assert b"canary value" not in before
    assert count == b"1"


def test_a_background_command_outlives_us(shell: Shell) -> None:
    fifo = shell.folder / "done"
    os.mkfifo(fifo)
    assert processes.run("exec-env", "--background", "s.env", f'echo "$NAME" >{fifo}').returncode == 0
    assert fifo.read_text() == "canary value\n"
    assert processes.run("exec-file", "--background", "--no-fifo", "s.yaml", f"cat {{}} {{}} >{fifo}").returncode == 0
    assert fifo.read_text().count("name: canary") == 2


def test_a_command_as_another_user(shell: Shell) -> None:
    me = getpass.getuser()
    home = pwd.getpwnam(me).pw_dir
    ours = processes.run("exec-env", "--user", me, "s.env", 'echo "$HOME $USER $LOGNAME $NAME"')
    if os.geteuid() == 0:
        assert ours.stdout.decode() == f"{home} {me} {me} canary value\n"
        other = processes.run("exec-env", "--user", "nobody", "s.env", 'id -un; id -Gn; echo "$USER"')
        assert other.stdout.split() == [b"nobody", *other.stdout.split()[1:-1], b"nobody"]
        assert (
            processes.run("exec-file", "--no-fifo", "--user", "nobody", "s.yaml", "cat {}").stdout
            == shell.sops("decrypt", "s.yaml").out
        )
    else:
        assert ours.returncode == 1
        assert b"only root can" in ours.stderr


@pytest.mark.parametrize("flags", [(), ("--pristine",), ("--same-process",)], ids=" ".join)
def test_variables_that_run_other_programs_are_warned_of(shell: Shell, flags: tuple[str, ...]) -> None:
    shell.write(
        "s.env", "LD_PRELOAD=./x.so\nGIT_SSH_COMMAND=./x\nGIT_TOKEN=canary\nMY_PATH=/a\nBASH_ENV=./x\nPATH=.:/bin\n"
    )
    sealed = shell.agent("encrypt", "--age", shell.recipient, "s.env").out
    shell.write("s.env", sealed)
    done = processes.run("exec-env", *flags, "s.env", 'echo "$GIT_TOKEN"')
    assert (done.returncode, done.stdout) == (0, b"canary\n")
    assert b"s.env sets LD_PRELOAD, GIT_SSH_COMMAND, BASH_ENV, PATH, which can make" in done.stderr
    shell.write("s.env", ENV)
    shell.write("s.env", shell.agent("encrypt", "--age", shell.recipient, "s.env").out)
    assert b"warning" not in processes.run("exec-env", *flags, "s.env", "true").stderr


@pytest.mark.parametrize("key", ["a=b", "a\0b"])
def test_what_no_environment_can_hold(shell: Shell, key: str) -> None:
    import json

    shell.write("s.json", json.dumps({key: "canary"}))
    assert shell.agent("encrypt", "-i", "--age", shell.recipient, "s.json").code == 0
    result = shell.agent("exec-env", "s.json", "true")
    assert result.code == 1
    assert "canary" not in result.err
