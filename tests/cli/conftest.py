"""The command in this process, in a folder of its own, with an environment that holds one age key."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from agent.adapters.keys import age
from agent.cli.main import main
from agent.values.reveal import reveal
from testbed import binaries

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(frozen=True)
class Result:
    code: int
    out: bytes
    err: str


class Shell:
    """Runs `agent` as main() does, and sops as a process, in `folder`."""

    def __init__(
        self, folder: Path, sops: Path, capture: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.folder = folder
        self._sops = sops
        self.recipient, identity = age.generate()
        self.identity = str(reveal(identity))
        self._capture = capture
        self._monkeypatch = monkeypatch
        self.env("SOPS_AGE_KEY", self.identity)

    def env(self, name: str, value: str | None) -> None:
        if value is None:
            self._monkeypatch.delenv(name, raising=False)
        else:
            self._monkeypatch.setenv(name, value)

    def write(self, name: str, text: str | bytes) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    def agent(self, *arguments: str, stdin: bytes = b"") -> Result:
        self._capture.readouterr()
        self._monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        code = main(arguments)
        out, err = self._capture.readouterr()
        return Result(code, out, err.decode())

    def sops(self, *arguments: str) -> Result:
        return self.sops_in(self.folder, *arguments)

    def sops_in(self, folder: Path, *arguments: str) -> Result:
        done = subprocess.run(
            [self._sops, "--disable-version-check", *arguments],
            cwd=folder,
            capture_output=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        return Result(done.returncode, done.stdout, done.stderr.decode())


@pytest.fixture(scope="session")
def sops_program() -> Path:
    """Found before any test moves HOME, where the built programs lie."""
    return binaries.path("sops")


@pytest.fixture(scope="session")
def kubeseal() -> Path:
    return binaries.path("kubeseal")


@pytest.fixture
def shell(
    sops_program: Path, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Shell]:
    for name in list(os.environ):
        ours = name.startswith(("SOPS_", "VAULT_", "GNUPG", "XDG_")) or name in {"EDITOR", "HOME"}
        if ours and name != "XDG_CACHE_HOME":  # where the built programs lie
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    return Shell(work, sops_program, capsysbinary, monkeypatch)
