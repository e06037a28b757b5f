"""A repository of Git whose encrypted files are merged by the driver that `agent git-setup` installs."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Shell

_NAMES = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false")

BASE = """\
# Who may enter
a: canary-one

b: canary-two   # inline
list:
  - x
  - w
"""


@dataclass(frozen=True)
class Done:
    code: int
    out: str


@dataclass(frozen=True)
class Repository:
    shell: Shell

    @property
    def folder(self) -> Path:
        return self.shell.folder

    def git(self, *arguments: str, code: int | None = 0) -> Done:
        done = subprocess.run(["git", *_NAMES, *arguments], cwd=self.folder, capture_output=True, check=False)
        text = done.stdout.decode() + done.stderr.decode()
        assert code is None or done.returncode == code, text
        return Done(done.returncode, text)

    def commit(self, subject: str = "change") -> None:
        self.git("add", "-A")
        self.git("commit", "-q", "-m", subject)

    def encrypt(self, name: str, text: str, *recipients: str) -> None:
        """A new file, under a data key of its own."""
        whom = ",".join(recipients or (self.shell.recipient,))
        made = self.shell.agent("encrypt", "--fresh", "--age", whom, "--filename-override", name, stdin=text.encode())
        assert made.code == 0, made.err
        self.shell.write(name, made.out)

    def branches(self, name: str, base: str, ours: dict[str, str], theirs: dict[str, str]) -> None:
        """`main` and `other`, in each of which `agent set` made these values (JSON by place) of one base; main is checked out."""
        self.encrypt(name, base)
        self.commit("base")
        self.git("checkout", "-q", "-b", "other")
        self.set(name, theirs)
        self.git("checkout", "-q", "main")
        self.set(name, ours)

    def set(self, name: str, values: dict[str, str]) -> None:
        for place, value in values.items():
            done = self.shell.agent("set", name, place, value)
            assert done.code == 0, done.err
        self.commit()

    def read(self, name: str) -> str:
        return (self.folder / name).read_text()

    def opened(self, name: str) -> str:
        """By the real sops, so that the MAC is right too."""
        done = self.shell.sops("decrypt", name)
        assert done.code == 0, done.err
        return done.out.decode()

    def holds(self, text: str) -> list[str]:
        """Files of the work tree and of Git's own folder with this text, packed and unpacked objects too."""
        found = [str(path) for path in self.folder.rglob("*") if path.is_file() and text.encode() in path.read_bytes()]
        objects = self.git("cat-file", "--batch-all-objects", "--batch-check=%(objectname)").out.split()
        return found + [name for name in objects if text in self.git("cat-file", "-p", name).out]


def wrapped(text: str) -> str:
    """How the data key of a file is wrapped."""
    return text.split("-----BEGIN")[1].split("-----END", maxsplit=1)[0]


@pytest.fixture
def repository(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> Repository:
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    made = Repository(shell)
    made.git("init", "-q", "-b", "main")
    done = shell.agent("git-setup", "*.yaml", "*.json", "*.env", "*.ini", "*.bin")
    assert done.code == 0, done.err
    return made
