"""Known values and keys are searched for in what commands start: editors, commands with secrets, gpg."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import processes
import pytest
from houses import YAML, House, house

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["house"]

COMMANDS = {
    "exec-env": (("exec-env", "s.env", "{script}"), 0),
    "exec-env that fails": (("exec-env", "s.env", "{script}; exit 7"), 7),
    "exec-env of what no environment holds": (("exec-env", "s.yaml", "{script}"), 1),
    "exec-file": (("exec-file", "s.yaml", "{script} {} && cat {} >/dev/null"), 0),
    "exec-file of a file": (("exec-file", "--no-fifo", "s.yaml", "{script} {}"), 0),
    "exec-file that is killed": (("exec-file", "--no-fifo", "s.yaml", "{script} {}; kill -9 $$"), 255),
    "exec-file of what was altered": (("exec-file", "--no-fifo", "altered.yaml", "{script} {}"), 51),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_only_the_command_has_its_values(house: House, name: str) -> None:
    """As a process of its own, whose arguments the command sees."""
    arguments, code = COMMANDS[name]
    text = (house.folder / "s.yaml").read_text()
    house.shell.write("altered.yaml", text.replace("readable", "other"))
    script = house.script("command", "ulimit -c")
    done = processes.run(*(each.replace("{script}", script) for each in arguments), folder=house.folder)
    assert done.returncode == code, done.stderr.decode()
    assert not house.canaries.search_text(done.stderr, "standard error")
    assert not house.canaries.search_text(done.stdout, "standard output")
    assert not house.left()
    # A core dump would hold plaintext.
    assert done.stdout in ({b"0\n"} if code in (0, 7, 255) else {b""})


@pytest.fixture
def gnupg_home() -> Iterator[Path]:
    """With a short path: gpg's sockets have to fit into 108 bytes."""
    folder = Path(tempfile.mkdtemp(prefix="gpg-", dir="/tmp"))
    yield folder
    subprocess.run(["gpgconf", "--homedir", folder, "--kill", "all"], check=True, capture_output=True)
    shutil.rmtree(folder, ignore_errors=True)  # the agent that ends removes its sockets itself


def test_the_arguments_of_gpg_hold_no_value(house: House, gnupg_home: Path) -> None:
    gpg = ["gpg", "--homedir", str(gnupg_home), "--batch", "--passphrase", "", "--pinentry-mode", "loopback"]
    whom = "canary@example.com"
    subprocess.run([*gpg, "--quick-gen-key", whom, "rsa2048", "encr", "never"], check=True, capture_output=True)
    listed = subprocess.run([*gpg, "--with-colons", "-k"], check=True, capture_output=True).stdout.decode()
    fingerprint = next(line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr"))
    house.shell.env("GNUPGHOME", str(gnupg_home))
    house.shell.env("SOPS_GPG_EXEC", house.script("gpg", 'exec gpg "$@"'))
    house.shell.env("SOPS_AGE_KEY", None)
    done = house.run("encrypt", "--pgp", fingerprint, "--filename-override", "p.yaml", stdin=YAML.encode())
    assert done.code == 0, done.err
    house.shell.write("p.yaml", done.out)
    opened = house.run("decrypt", "p.yaml", asked=True)
    assert house.canaries.search_text(opened.out, "what was asked for"), opened.err
    assert b"--decrypt" in (house.log / "gpg").read_bytes()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_an_editor_works_in_memory_that_is_gone_when_a_signal_ends_us(house: House, number: signal.Signals) -> None:
    seen = house.log / "place"
    os.mkfifo(house.given / "waits")
    text = f'stat -f -c %T "$(dirname "$1")" >"{seen}"; ulimit -c >>"{seen}"; echo "$1" >>"{seen}"; : >"{house.given}/waits"'
    house.shell.env("SOPS_EDITOR", house.script("editor", f"{text}; exec sleep 1000"))
    before = (house.folder / "s.yaml").read_bytes()
    with processes.start("edit", "s.yaml", folder=house.folder) as agent:
        (house.given / "waits").read_bytes()
        editors = Path(f"/proc/{agent.pid}/task/{agent.pid}/children").read_text().split()
        kind, core, path = seen.read_text().split()
        shown = Path(path).read_text()
        agent.send_signal(number)
        code = agent.wait(30)
        for pid in editors:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        output = b"".join(agent.communicate())
    assert (kind, core, code) == ("tmpfs", "0", 128 + number)
    assert house.canaries.search_text(shown, "the file of the editor")
    assert not house.canaries.search_text(output, "output")
    assert not house.left()
    assert (house.folder / "s.yaml").read_bytes() == before
