"""The walk of docs/start.md on the testbed, block by block as it is printed there; only what it says to replace is replaced."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

import pytest

from testbed.agent import ROOT
from testbed.processes import free_port

if TYPE_CHECKING:
    from collections.abc import Generator

_EXPORTS = re.compile(r"export (?P<settings>.*)")


class Testbed:
    """`python -m testbed up`, and what it prints."""

    __test__ = False

    def __init__(self) -> None:
        command = [sys.executable, "-m", "testbed", "up"]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True)
        self.printed = ""
        assert self.process.stdout
        for line in self.process.stdout:
            self.printed += line
            if "Ctrl-C" in line:
                break

    @property
    def exports(self) -> str:
        return "\n".join(f"export {each['settings']}" for each in _EXPORTS.finditer(self.printed))

    def program(self, name: str) -> str:
        return next(word for word in self.printed.split() if Path(word).name.startswith(name) and Path(word).exists())

    @property
    def clone(self) -> str:
        return self.printed.split("git clone ")[1].split()[0]

    def end(self) -> str:
        self.process.send_signal(signal.SIGINT)
        return self.process.communicate(timeout=60)[0]


@pytest.fixture
def testbed() -> Generator[Testbed]:
    running = Testbed()
    try:
        yield running
    finally:
        if running.process.poll() is None:
            running.end()


def blocks() -> list[str]:
    found = re.findall(r"```sh\n(.*?)```", (ROOT / "docs" / "start.md").read_text(), re.DOTALL)
    return [block for block in found if "docker build" not in block]


def test_the_walk_does_what_it_says(testbed: Testbed, tmp_path: Path) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("kubectl", "bao"):
        (programs / name).symlink_to(testbed.program(name))
    url = urlsplit(testbed.clone)
    host = f"{url.hostname}:{url.port}"
    replaced = {
        "make demo ": "true ",
        "allowedHosts: [git.example.com]": f"allowedHosts: ['{host}']",
        "https://git.example.com/shop/deploy.git": urlunsplit(url._replace(netloc=host)),
        "username=USER": "username=git",
        "password=PASSWORD": f"password={url.password}",
        "CA_FILE": "$GIT_SSL_CAINFO",
        # Others use this machine too, and a block with the agent in the foreground would not end.
        "--memory-dir /dev/shm/signet": f"--memory-dir {tmp_path}/memory",
        "127.0.0.1:8080": f'127.0.0.1:{free_port()} > "$TRY/log" 2>&1 &',
    }
    text = "\n".join(blocks())
    for printed, ours in replaced.items():
        assert printed in text, printed
        text = text.replace(printed, ours)
    clone = f"cd {shlex.quote(str(tmp_path))} && git clone -q {shlex.quote(testbed.clone)} clone && cd clone\n"
    text = text.replace("mkdir -p base envs/prod", f"{clone}mkdir -p base envs/prod")
    script = tmp_path / "walk.sh"
    script.write_text(f"trap 'echo \"FAILED: $BASH_COMMAND\" >&2' ERR\ntrap 'kill $!' EXIT\n{testbed.exports}\n{text}")
    environment = {
        **os.environ,
        "PATH": f"{programs}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "EDITOR": "sed -i s/battery/staple/",
        **{f"GIT_{who}_{what}": "dana@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
    }
    done = subprocess.run(
        ["bash", str(script)],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    log = tmp_path / "signet-try" / "log"
    shown = f"{done.stdout}\n{done.stderr}\n{log.read_text() if log.exists() else ''}"
    failed = [line for line in done.stderr.splitlines() if line.startswith("FAILED: ") and "agent diff" not in line]
    assert failed == [], shown
    assert "rosebud" in done.stdout
    assert "change  Secret shop/database" in re.sub(" +", "  ", done.stdout).replace("Secret  shop", "Secret shop"), (
        shown
    )
    assert "verified: " in done.stdout
    assert "battery" not in shown
    assert "rosebud" not in done.stderr + log.read_text()


def test_ctrl_c_ends_the_testbed_and_says_so(testbed: Testbed) -> None:
    folder = Path(testbed.exports.split("KUBECONFIG=")[1].split()[0]).parent
    assert folder.exists()
    output = testbed.end()
    assert "ended: no server runs any more" in output
    assert testbed.process.returncode == 130
    assert not folder.exists()
