"""Asking a server and fetching from it into a mirror. git blocks, so all of it is for worker threads."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from agent.adapters import proxies
from agent.adapters.git import addresses, command, credential, failures, reading, ssh
from agent.api.sources import TAGS
from agent.manifests import versions
from agent.values.errors import LimitError, SourceError, SourceUnavailableError
from agent.values.ids import Revision

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from agent.adapters.git.addresses import Address
    from agent.adapters.git.command import Outcome
    from agent.adapters.git.confined import Confined
    from agent.api.operator import GitSettings, Limits
    from agent.api.sources import Source
    from agent.engine.credentials import GitCredential

_LOCAL: Final = 120.0
"""Seconds that a command without network may take."""
_LIST_BYTES: Final = 64 * 1024 * 1024
"""Address space of each git that only asks what a ref names."""
_REMOTE: Final = "origin"
_NOWHERE: Final = "/nonexistent"
"""In place of the system's folder of authorities, which counts beside a file of them where curl is built so, and is read for each connection."""
_VERSION: Final = re.compile(r"refs/tags/v?[0-9][0-9A-Za-z.+-]{0,127}")
_MOST_VERSIONS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Remote:
    """The repository of a source, the credential that it is asked with, and the mirror that takes what it gives."""

    source: Source
    login: GitCredential | None
    mirror: reading.Mirror


def local_ref(source: Source) -> str:
    """What a mirror calls the branch or tag of a source."""
    return "refs/signet/" + hashlib.sha256(source.ref.encode()).hexdigest()


class Fetcher:
    """Fetches into mirrors below `directory`, which this process alone writes to."""

    def __init__(
        self, directory: Path, settings: GitSettings, limits: Limits, *, packs: int, closing: threading.Event
    ) -> None:
        """Every fetch leaves a pack; a mirror of more than `packs` is repacked. `closing` ends what runs without network."""
        self._directory: Final = directory
        self._settings: Final = settings
        self._limits: Final = limits
        self._packs: Final = packs
        self._closing: Final = closing

    def head(self, remote: Remote, stop: threading.Event) -> str:
        """The full commit hash that the source's revision names now. Raises SourceError, SourceUnavailableError, LimitError."""
        with contextlib.suppress(FileNotFoundError):
            os.utime(remote.mirror.path)
        return self._named(remote, stop)[1]

    def _named(self, remote: Remote, stop: threading.Event) -> tuple[str, str]:
        """The ref that the source's revision names now, and its commit."""
        source = remote.source
        ref = source.ref
        patterns = [TAGS] if source.semver is not None else [ref, f"{ref}^{{}}"]
        outcome = self._network(remote, ["ls-remote", "--quiet", "--end-of-options", source.address, *patterns], stop)
        if not outcome.ok:
            raise failures.translate(outcome, repository=source.address)
        lines = outcome.stdout.decode("utf-8", "replace").splitlines()
        names = {name: commit for commit, _, name in (line.partition("\t") for line in lines)}
        if source.semver is not None:
            ref = _newest_tag(source, source.semver, names, stop)
        found = names.get(f"{ref}^{{}}") or names.get(ref)
        if found is None:
            raise _no_such_revision(source)
        return ref, reading.full_hash(found)

    def fetch(self, remote: Remote, stop: threading.Event) -> Revision:
        """Bring the commit into the mirror. Raises SourceError, SourceUnavailableError, LimitError."""
        source, mirror = remote.source, remote.mirror
        self._prepare(mirror.path)
        ref = source.ref if source.semver is None else self._named(remote, stop)[0]
        brought = (
            self._newest(remote, ref, stop) if source.commit is None else self._pinned(remote, source.commit, stop)
        )
        os.utime(mirror.path)
        headline = reading.headline_of(mirror, brought, cancelled=stop)
        if headline is None:
            raise _no_such_revision(source)
        name = "commit" if source.commit is not None else ref.split("/", 2)[2]
        return Revision(headline.commit, name, headline.author, headline.authored_at, headline.subject)

    def _newest(self, remote: Remote, ref: str, stop: threading.Event) -> str:
        """The mirror's ref with what a branch or tag names now."""
        local = local_ref(remote.source)
        outcome = self._download(remote, [f"+{ref}:{local}"], stop)
        if not outcome.ok:
            raise failures.translate(outcome, repository=remote.source.address)
        return local

    def _pinned(self, remote: Remote, commit: str, stop: threading.Event) -> str:
        """A commit that is pinned by its hash, if a branch or tag of the repository leads to it.

        A server hands out commits of forks and pull requests by their hash too, which others wrote. What was found on a branch
        once is taken without asking again.
        """
        source, mirror = remote.source, remote.mirror
        if not reading.is_held(mirror, commit, cancelled=stop):
            everything = [f"+refs/{kind}/*:{reading.HELD}/{kind}/*" for kind in ("heads", "tags")]
            outcome = self._download(remote, everything, stop)
            if not outcome.ok:
                raise failures.translate(outcome, repository=source.address)
            if not reading.is_held(mirror, commit, cancelled=stop):
                tagged = reading.commit_of(mirror, commit, cancelled=stop)
                if tagged is not None and reading.is_held(mirror, tagged, cancelled=stop):
                    raise SourceError(
                        "this is the hash of an annotated tag and not of a commit",
                        hint="pin the commit that the tag leads to, or name the tag",
                        repository=source.address,
                        revision=commit,
                        commit=tagged,
                    )
                raise SourceError(
                    "no branch or tag of the repository contains this commit",
                    hint="pin one that a branch or tag contains: commits that are only in a fork or a pull request are not accepted",
                    repository=source.address,
                    revision=commit,
                )
        return commit

    def _prepare(self, path: Path) -> None:
        """An empty mirror where there is none, and no leftovers of a git that was killed in one that is there."""
        if (path / "HEAD").is_file():
            for leftover in (*path.glob("objects/pack/tmp_*"), *path.glob("**/*.lock")):
                leftover.unlink(missing_ok=True)
            if sum(1 for _ in path.glob("objects/pack/*.pack")) <= self._packs or self._repacked(path):
                return
        new = path.with_name(f"{path.name}.new")
        for stale in (new, path):
            shutil.rmtree(stale, ignore_errors=True)
        self._local(self._directory, ["init", "--bare", "--quiet", "--template=", "--end-of-options", str(new)])
        new.replace(path)

    def _repacked(self, path: Path) -> bool:
        """Whether one pack was made of many. That takes more memory and time than fetching them did, and may be too much."""
        try:
            self._local(path, ["repack", "-a", "-d", "-k", "--quiet"])
        except (LimitError, SourceUnavailableError):
            return False
        return True

    def _local(self, path: Path, arguments: Sequence[str]) -> None:
        confined = command.confined(path, address_space=self._limits.git_bytes, cpu_seconds=_LOCAL)
        confined.configuration |= self._partial()
        outcome = command.run(confined, arguments, seconds=_LOCAL, cancelled=self._closing)
        if not outcome.ok:
            raise SourceUnavailableError("the folder of mirrors cannot be written", hint="is its volume full?")

    def _download(self, remote: Remote, refspecs: Sequence[str], stop: threading.Event) -> Outcome:
        path = remote.mirror.path
        outcome = self._network(
            remote,
            [
                "fetch",
                "--quiet",
                "--no-tags",
                "--no-write-fetch-head",
                "--no-auto-maintenance",
                "--prune",
                "--end-of-options",
                _REMOTE,
                *refspecs,
            ],
            stop,
            path,
        )
        if not outcome.ok and failures.is_unknown(outcome):
            shutil.rmtree(path, ignore_errors=True)
            raise failures.damaged(repository=remote.source.address)
        if outcome.stopped == "size" or (outcome.ok and self._too_large(path)):
            shutil.rmtree(path, ignore_errors=True)
            raise LimitError(
                "the repository is larger than the agent accepts",
                hint="limits.repositoryBytes in the operator's file is the limit",
                limit=self._limits.repository_bytes,
            )
        return outcome

    def _network(
        self,
        remote: Remote,
        arguments: Sequence[str],
        stop: threading.Event,
        path: Path | None = None,
    ) -> Outcome:
        source, login = remote.source, remote.login
        address = addresses.check(source.address, self._settings)
        seconds = float(self._settings.timeout_seconds)
        confined = command.confined(
            path or self._directory,
            address_space=_LIST_BYTES if path is None else self._limits.git_bytes,
            cpu_seconds=seconds,
        )
        confined.variables["GIT_ALLOW_PROTOCOL"] = address.scheme
        if path is not None:
            confined.variables["GIT_DIR"] = str(path)
            confined.configuration |= {f"remote.{_REMOTE}.url": source.address, **self._partial()}
        else:
            confined.variables["GIT_CEILING_DIRECTORIES"] = str(self._directory.parent)
        authority = self._authority(remote)
        if authority is not None:
            confined.configuration |= {"http.sslCAInfo": str(authority), "http.sslCAPath": _NOWHERE}
        confined.configuration |= {"http.lowSpeedLimit": "1", "http.lowSpeedTime": str(int(seconds))}
        offered = {address.origin: login, **self._proxied(confined, address)}
        with credential.offered(offered) as answers, ssh.client(address, login) as client:
            shown = client or answers
            confined.configuration |= shown.configuration
            outcome = command.run(
                confined,
                arguments,
                seconds=seconds,
                cancelled=stop,
                too_large=None if path is None else lambda: self._too_large(path),
                descriptors=shown.descriptors,
            )
            return outcome if client is None else replace(outcome, ssh=client.words())

    def _proxied(self, confined: Confined, address: Address) -> dict[str, GitCredential]:
        """What the proxy is asked with, where one leads to the server."""
        proxy, host = self._settings.proxy, urlsplit(address.origin).hostname or ""
        if proxy is None or address.scheme == "ssh":
            return {}
        confined.configuration["http.proxy"] = proxy.of(host)
        login = proxies.login(proxy, host)
        if login is None:
            return {}
        # git asks for a password where there is a user name, and takes both from the answer
        confined.configuration["http.proxy"] = proxy.url.replace("://", "://user@", 1)
        confined.configuration["http.proxyAuthMethod"] = "basic"
        return {proxy.url: credential.of_proxy(*login)}

    def _partial(self) -> dict[str, str]:
        """A server that can leaves out what is not a manifest for its size (gitrepository-layout, partial clone)."""
        return {
            f"remote.{_REMOTE}.promisor": "true",
            f"remote.{_REMOTE}.partialCloneFilter": f"blob:limit={self._limits.file_bytes + 1}",
        }

    def _authority(self, remote: Remote) -> Path | str | None:
        """The PEM file to trust: it is no secret, and git takes nothing but a file."""
        login = remote.login
        if login is None or not login.ca_pem:
            return self._settings.ca_file
        path = remote.mirror.path.with_suffix(".pem")
        if not path.is_file() or path.read_text() != login.ca_pem:
            new = path.with_suffix(f".{threading.get_ident()}")
            new.write_text(login.ca_pem)
            new.replace(path)
        return path

    def _too_large(self, path: Path) -> bool:
        size = 0
        for folder, _, names in os.walk(path):
            for name in names:
                try:
                    size += os.lstat(os.path.join(folder, name)).st_size  # noqa: PTH118
                except FileNotFoundError:
                    continue
        return size > self._limits.repository_bytes


def _newest_tag(source: Source, wanted: str, names: Iterable[str], stop: threading.Event) -> str:
    """The ref of the newest version. Raises SourceError, LimitError."""
    tags = [name.removeprefix("refs/tags/") for name in names if _VERSION.fullmatch(name)]
    if len(tags) > _MOST_VERSIONS:
        raise LimitError(
            "the repository has more versions than are compared",
            hint="follow a branch or a tag",
            repository=source.address,
            limit=_MOST_VERSIONS,
        )

    def check() -> None:
        if stop.is_set():
            raise SourceUnavailableError("stopped while versions were compared", repository=source.address)

    found = versions.newest(tags, wanted, check)
    if found is None:
        raise SourceError(
            "no tag of the repository is a version in this range",
            hint="early versions count only where the range names one",
            repository=source.address,
            semver=wanted,
        )
    return f"refs/tags/{found}"


def _no_such_revision(source: Source) -> SourceError:
    return SourceError(
        "the repository has no such branch, tag or commit",
        hint="check spec.source.revision",
        repository=source.address,
        revision=source.ref,
    )
