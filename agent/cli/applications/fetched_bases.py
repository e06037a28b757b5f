"""Remote bases for commands: fetched as the agent fetches them, over HTTPS, anonymously or as the user's own git logs in.

The agent logs in with a Secret of the Application's namespace, which a user need not be able to read.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess  # git, for how the user logs in
import tempfile
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from agent.adapters.git import addresses
from agent.api.operator import GitSettings
from agent.api.sources import Source, SourceRevision
from agent.engine.credentials import GitCredential
from agent.manifests.documents import RENDERED, File
from agent.values.dataclass import dataclass
from agent.values.errors import RemoteBaseError, SourceError, SourceUnavailableError
from agent.values.fingerprint import Fingerprinter
from agent.values.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from agent.adapters.git.mirrors import Mirrors
    from agent.api.application import Application
    from agent.api.operator import Limits
    from agent.manifests.documents import TreeEntry
    from agent.manifests.remote_bases import Base

_SECONDS: Final = 30.0
"""For git to say how the user logs in."""
_LONGEST: Final = 64 * 1024
_OF_A_REPOSITORY: Final = {"GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR"}


def settings_for(application: Application | None) -> GitSettings:
    """What an operator would grant who agrees with the Application."""
    render = application.spec.render if application is not None else None
    urls = tuple(each.url for each in render.remote_bases) if render is not None else ()
    hosts = {urlsplit(url).netloc for url in urls if not addresses.is_ssh(url)}
    return GitSettings(allowed_hosts=tuple(sorted(hosts)), remote_bases=urls)


class Bases:
    """Fetches bases into a folder that goes with the process."""

    def __init__(self, settings: GitSettings, limits: Limits) -> None:
        self.granted: Final = settings.remote_bases
        self._settings: Final = settings
        self._limits: Final = limits
        self._mirrors: Mirrors | None = None
        self._fetched: Final[dict[Base, FetchedFiles]] = {}

    async def files(self, base: Base) -> FetchedFiles:
        """The files of a base. Raises RemoteBaseError, SourceError, LimitError."""
        if base not in self._fetched:
            self._fetched[base] = await self._fetch(base)
        return self._fetched[base]

    async def _fetch(self, base: Base) -> FetchedFiles:
        if addresses.is_ssh(base.url):
            raise RemoteBaseError(
                "commands fetch remote bases over HTTPS alone",
                hint="the agent fetches it over SSH; vendor the base to see it here",
                repository=base.url,
            )
        mirrors, source = self._opened(), Source(url=base.url, revision=SourceRevision(commit=base.commit))
        authority = await asyncio.to_thread(_authority, base.url)
        login = GitCredential("", None, authority) if authority else None
        try:
            await mirrors.fetch(source, login)
        except SourceUnavailableError:
            raise
        except SourceError as refusal:
            login = await asyncio.to_thread(_login, base.url, authority)
            if login is None:
                raise _refused(refusal, base) from None
            await mirrors.fetch(source, login)
        return FetchedFiles(self, mirrors, source, login, await mirrors.tree(source, login, base.commit))

    def _opened(self) -> Mirrors:
        # Only here, since few overlays have a remote base, and GitPython takes its time to load.
        from agent.adapters.git.mirrors import Mirrors

        if self._mirrors is None:
            folder = tempfile.mkdtemp(prefix="signet-bases-")
            _ = weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
            named = Fingerprinter.derive(Secret(os.urandom(32), "key of this process"), "mirrors")
            self._mirrors = Mirrors(Path(folder), self._settings, self._limits, named)
        return self._mirrors


@dataclass(frozen=True, slots=True)
class FetchedFiles:
    """The files of a base that was fetched."""

    bases: Bases
    mirrors: Mirrors
    source: Source
    login: GitCredential | None
    listing: Mapping[str, TreeEntry]

    @property
    def granted(self) -> tuple[str, ...]:
        return self.bases.granted

    async def read(self, paths: Iterable[str]) -> Mapping[str, File]:
        blobs = {path: self.listing[path].blob for path in paths}
        commit = self.source.commit or ""
        if not blobs:
            return {}
        contents = await self.mirrors.blobs(self.source, self.login, commit, {*blobs.values()})
        return {path: File(path, blob, contents[blob], RENDERED) for path, blob in blobs.items()}

    async def base(self, base: Base) -> FetchedFiles:
        return await self.bases.files(base)


def _refused(refusal: SourceError, base: Base) -> RemoteBaseError:
    return RemoteBaseError(
        "a remote base cannot be fetched here",
        hint="git ls-remote has to list its repository without asking for a password: log in to it, or vendor the base",
        repository=base.url,
        commit=base.commit,
        because=refusal.message,
    )


def _login(url: str, authority: str) -> GitCredential | None:
    """What the user's credential helpers know for an address (git-credential(1)); None where that is nothing."""
    answer = _git(["credential", "fill"], f"url={url}\n\n")
    found: dict[str, str] = {name: value for name, _, value in (line.partition("=") for line in answer.splitlines())}
    if not found.get("password"):
        return None
    return GitCredential(found.get("username", ""), Secret(found["password"], "git credential"), authority)


def _authority(url: str) -> str:
    """The PEM of the CA that the user's git trusts for an address; empty where it is the system's."""
    path = os.environ.get("GIT_SSL_CAINFO") or _git(["config", "--get-urlmatch", "http.sslCAInfo", url]).strip()
    try:
        return Path(path).expanduser().read_text("utf-8") if path else ""
    except (OSError, ValueError):
        return ""


def _git(arguments: list[str], text: str = "") -> str:
    """What the user's own git answers, with the user's settings and without a question; empty where it does not.

    Outside every work tree: the settings of the repository that the user stands in may name programs, and its author may have written them.
    """
    environment = {name: value for name, value in os.environ.items() if name not in _OF_A_REPOSITORY}
    try:
        done = subprocess.run(  # noqa: S603
            ["git", *arguments],  # noqa: S607
            input=text.encode(),
            env=environment | {"GIT_TERMINAL_PROMPT": "0"},
            cwd="/",
            capture_output=True,
            check=False,
            timeout=_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout[:_LONGEST].decode("utf-8", "replace") if done.returncode == 0 else ""
