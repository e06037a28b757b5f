"""A bare Git repository that commits are written into without a work tree."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Link:
    """A symbolic link to `target`, which may point anywhere."""

    target: str


@dataclass(frozen=True, slots=True)
class Submodule:
    """A commit of another repository in place of a folder."""

    sha: str


Content: TypeAlias = bytes | str | Link | Submodule | None


class GitError(RuntimeError):
    """git refused; the text is its standard error."""


@dataclass(frozen=True, slots=True)
class Repository:
    """A bare repository in the folder `path`, served at `url`. Commits are hex hashes."""

    path: Path
    url: str

    @classmethod
    def create(cls, path: Path, url: str) -> Repository:
        repository = cls(path, url)
        path.mkdir(parents=True)
        for command in (
            ["init", "--quiet", "--bare", "--initial-branch=main"],
            ["config", "http.receivepack", "true"],
            ["config", "uploadpack.allowAnySHA1InWant", "true"],
            ["config", "gc.auto", "0"],
        ):
            _ = repository.git(*command)
        return repository

    def git(self, *args: str, stdin: bytes = b"") -> str:
        """Standard output of git in this repository. Raises GitError."""
        env = {
            "PATH": os.environ["PATH"],
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_COMMITTER_NAME": "Testbed",
            "GIT_COMMITTER_EMAIL": "testbed@example.com",
        }
        done = subprocess.run(
            ["git", f"--git-dir={self.path}", *args], input=stdin, capture_output=True, check=False, env=env
        )
        if done.returncode:
            raise GitError(done.stderr.decode(errors="replace").strip())
        return done.stdout.decode().strip()

    def commit(
        self,
        files: Mapping[str, Content],
        message: str = "Change",
        *,
        branch: str = "main",
        parent: str | None = None,
        author: str = "Dev",
        email: str = "dev@example.com",
    ) -> str:
        """Write `files` over the head of `branch`; None deletes a file or a folder. Gives the new commit.

        `parent`, where it is another commit than the head, makes it what a force push looks like.
        """
        ref = f"refs/heads/{branch}"
        start = parent or self._resolve(ref)
        who = f"{author} <{email}> now".encode()
        parts = [b"commit %s\nauthor %s\ncommitter %s\n" % (ref.encode(), who, who), _data(message.encode())]
        if start is not None:
            parts.append(b"from %s\n" % start.encode())
        parts += [_change(path, content) for path, content in files.items()]
        stream = b"".join([b"feature done\n", *parts, b"done\n"])
        _ = self.git("fast-import", "--quiet", "--force", "--date-format=now", stdin=stream)
        return self.head(branch)

    def head(self, branch: str = "main") -> str:
        """The newest commit of a branch. Raises GitError where there is none."""
        return self.git("rev-parse", "--verify", f"refs/heads/{branch}")

    def reset(self, sha: str, *, branch: str = "main") -> None:
        """Move a branch, or make it: a force push of an old commit."""
        _ = self.git("update-ref", f"refs/heads/{branch}", sha)

    def tag(self, name: str, sha: str | None = None, *, message: str = "") -> None:
        """A lightweight tag, an annotated one where there is a `message`; moves one of the same name."""
        annotated = ["-m", message] if message else []
        _ = self.git("tag", "--force", *annotated, name, sha or self.head())

    def delete_branch(self, name: str) -> None:
        _ = self.git("update-ref", "-d", f"refs/heads/{name}")

    def read(self, path: str, *, revision: str = "main") -> str:
        """The text of a file."""
        return self.git("cat-file", "blob", f"{revision}:{path}")

    def _resolve(self, ref: str) -> str | None:
        try:
            return self.git("rev-parse", "--verify", "--quiet", ref)
        except GitError:
            return None


def _data(raw: bytes) -> bytes:
    return b"data %d\n%s\n" % (len(raw), raw)


def _quote(path: str) -> bytes:
    """A path in C's quotes, so that any byte but NUL may stand in it."""
    raw = path.encode("utf-8", "surrogateescape")
    return b'"%s"' % b"".join(
        bytes([byte]) if 32 <= byte < 127 and byte not in b'"\\' else b"\\%03o" % byte for byte in raw
    )


def _change(path: str, content: Content) -> bytes:
    name = _quote(path)
    match content:
        case None:
            return b"D %s\n" % name
        case Submodule(sha):
            return b"M 160000 %s %s\n" % (sha.encode(), name)
        case Link(target):
            return b"M 120000 inline %s\n" % name + _data(target.encode())
        case str():
            return b"M 100644 inline %s\n" % name + _data(content.encode())
        case bytes():
            return b"M 100644 inline %s\n" % name + _data(content)
