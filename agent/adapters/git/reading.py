"""What a mirror holds: commits, ancestry and blobs, straight from its object store."""

from __future__ import annotations

import subprocess  # what GitPython started
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

from agent.adapters.git import command, failures, trees
from agent.adapters.git.trees import Tree
from agent.engine.repositories import Snapshot
from agent.engine.rooms import LargerError
from agent.manifests import listing
from agent.manifests.documents import File
from agent.values.errors import LimitError, SignatureError, SourceError, SourceUnavailableError
from agent.values.text import cut

if TYPE_CHECKING:
    import threading
    from collections.abc import Collection, Container, Generator, Iterator, Mapping
    from pathlib import Path

    from agent.adapters.git.confined import Confined
    from agent.api.operator import Limits
    from agent.api.sources import Source
    from agent.engine.state import Place
    from agent.manifests.documents import TreeEntry
    from agent.manifests.listing import Entry, Layer
    from agent.values.errors import AgentError

_SECONDS: Final = 120.0
"""For one command; none of these touches the network."""
HELD: Final = "refs/signet-held"
"""Below it a mirror has the branches and tags of its repository, where a commit is pinned by its hash."""
_LISTING: Final = 32 * 1024 * 1024
"""Bytes of one layer's listing, some 400,000 files. Four may be in memory at a time, beside what is made of them."""
_MOST_PATHS: Final = 200_000
"""Of a commit that is looked through."""
_LOOKING: Final = 30
"""Seconds that paths are looked at, in all layers: a million of them, each held against 32 KiB of globs, would take days."""
_END: Final = 0.5
"""Seconds that a git which failed has to end."""
_HEADLINE: Final = 4096
"""Bytes of an author and a time that are looked at."""
_SECONDS_DIGITS: Final = 16
_LINK: Final = 4096
"""Bytes of a symbolic link's target that are looked at."""


@dataclass(frozen=True, slots=True)
class Mirror:
    """A mirror's folder, and the address space that each git which reads it has."""

    path: Path
    git_bytes: int

    def confined(self) -> Confined:
        """Commands in this mirror, without network. That blobs are left out of it is not configured here: none is ever asked for."""
        confined = command.confined(self.path, address_space=self.git_bytes, cpu_seconds=_SECONDS)
        confined.variables["GIT_DIR"] = str(self.path)
        return confined


@dataclass(frozen=True, slots=True)
class Headline:
    """What a commit says of itself: `Name <address>`, Unix seconds and the subject, the texts cut; none of it is verified."""

    commit: str
    author: str
    authored_at: int
    subject: str


def full_hash(text: str) -> str:
    """A commit hash, checked. Raises SourceError."""
    if len(text) != 40 or not set(text) <= set("0123456789abcdef"):
        raise SourceError(
            "not a commit that the agent can read",
            hint="a full SHA-1 hash is needed; SHA-256 repositories are not read yet",
        )
    return text


def commit_of(mirror: Mirror, revision: str, *, cancelled: threading.Event) -> str | None:
    """The hash of the commit that a ref, a tag or a hash of the mirror leads to; None where there is none."""
    arguments = ["rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}"]
    outcome = command.run(mirror.confined(), arguments, seconds=_SECONDS, cancelled=cancelled)
    return outcome.stdout.decode("ascii", "replace").strip() if outcome.ok else None


def is_held(mirror: Mirror, commit: str, *, cancelled: threading.Event) -> bool:
    """Whether a branch or tag of the repository, as `HELD` has them, leads to a commit. An object that merely lies in the mirror does not count."""
    if commit_of(mirror, commit, cancelled=cancelled) != commit:
        return False
    arguments = ["for-each-ref", "--count=1", f"--contains={commit}", "--format=%(refname)", HELD]
    outcome = command.run(mirror.confined(), arguments, seconds=_SECONDS, cancelled=cancelled)
    return outcome.ok and bool(outcome.stdout.strip())


def headline_of(mirror: Mirror, revision: str, *, cancelled: threading.Event) -> Headline | None:
    """That of the commit that a ref, a tag or a hash of the mirror leads to; None where there is none. What is too long is cut."""
    form = "--format=%H%x00%at%x00%an <%ae>%x00%s"
    arguments = ["log", "--max-count=1", "--no-show-signature", form, "--end-of-options", f"{revision}^{{commit}}"]
    outcome = command.run(mirror.confined(), arguments, seconds=_SECONDS, cancelled=cancelled)
    if not outcome.ok and outcome.stopped != "output":
        return None
    commit, _, rest = outcome.stdout[:_HEADLINE].decode("utf-8", "replace").strip().partition("\0")
    seconds, _, rest = rest.partition("\0")
    author, _, subject = rest.partition("\0")
    authored_at = int(seconds) if seconds.isdecimal() and len(seconds) < _SECONDS_DIGITS else 0
    return Headline(commit, cut(author), authored_at, cut(subject))


def is_ancestor(mirror: Mirror, old: str, new: str, *, cancelled: threading.Event) -> bool:
    """Whether `old` is `new` or comes before it. Raises SourceUnavailableError where `new` is not there."""
    arguments = ["merge-base", "--is-ancestor", "--end-of-options", f"{old}^{{commit}}", f"{new}^{{commit}}"]
    outcome = command.run(mirror.confined(), arguments, seconds=_SECONDS, cancelled=cancelled)
    if outcome.status in {0, 1} and not outcome.stopped:
        return outcome.status == 0
    if commit_of(mirror, new, cancelled=cancelled) is None or commit_of(mirror, old, cancelled=cancelled) is not None:
        raise _lost(new)
    return False


def whole(mirror: Mirror, commit: str, *, cancelled: threading.Event) -> Tree:
    """A commit's tree, listed. Raises DamagedError, and SourceUnavailableError where the commit is not there."""
    try:
        return Tree.of(_list(mirror, f"{commit}^{{commit}}", cancelled, most=trees.MOST_BYTES))
    except DamagedError:
        if commit_of(mirror, commit, cancelled=cancelled) is None:
            raise _lost(commit) from None
        raise


def read(
    mirror: Mirror,
    source: Source,
    commit: str,
    *,
    tree: Tree,
    known: Container[Place],
    limits: Limits,
    cancelled: threading.Event,
    within: str = "",
    most: int | None = None,
) -> Snapshot:
    """The manifest files of the source's layers, in layer order, then by path, without the contents of those that are `known`.

    `within` is the folder that they stand in as those of a submodule, `most` how many bytes are read. Raises SourceError, LimitError, DamagedError,
    LargerError.
    """
    layers = listing.layers(source)
    files = limits.objects
    check = _Check(commit, cancelled, time.monotonic() + _LOOKING)
    selection = listing.Selection(source, file_bytes=limits.file_bytes, files=files, check=check)
    found: list[File] = []
    refused: list[tuple[str, AgentError]] = []
    size, new = 0, 0
    with _objects(mirror, commit) as objects:
        for layer in layers:
            entries, shown = listing.placed(_entries(mirror, tree, objects, layer, cancelled), layer, within)
            taken, not_taken = selection.of(entries, shown, lambda entry: objects.leads_to_folder(entry, within))
            refused += not_taken
            size += listing.total(taken)
            if size > limits.manifest_bytes or len(found) + len(taken) > files:
                raise LimitError(
                    "the layers hold more than the agent accepts",
                    hint="limits.manifestBytes and limits.objects in the operator's file are the limits",
                    layer=layer.path,
                )
            unknown = [entry for entry in taken if (entry.path, entry.blob, layer.number) not in known]
            new += listing.total(unknown)
            if most is not None and new > most:
                raise LargerError
            for entry in taken:
                if cancelled.is_set():
                    raise _lost(commit)
                is_known = (entry.path, entry.blob, layer.number) in known
                data = b"" if is_known else objects.blob(entry.blob)
                found.append(File(path=entry.path, blob=entry.blob, data=data, layer=layer.number))
    return Snapshot(tuple(found), tuple(refused))


def _entries(
    mirror: Mirror, tree: Tree, objects: _Objects, layer: Layer, cancelled: threading.Event
) -> Iterator[tuple[Entry, AgentError | None]]:
    """What a layer holds: out of the commit's tree, or listed on its own where that is too large."""
    if tree.data is None:
        data = _list(mirror, objects.tree(layer), cancelled, most=_LISTING) or b""
        return listing.parse(data, layer)
    part = tree.below(layer)
    if part is None:
        raise _no_folder(layer, commit=objects.commit)
    return listing.parse(part, layer, rooted=True)


def paths(mirror: Mirror, commit: str, *, tree: Tree, cancelled: threading.Event) -> Mapping[str, TreeEntry]:
    """Every path of a commit. Raises LimitError, DamagedError, SourceUnavailableError."""
    if tree.data is not None:
        return tree.entries()
    found = trees.entries(_list(mirror, commit, cancelled, most=_LISTING) or b"", _MOST_PATHS)
    if len(found) > _MOST_PATHS:
        raise LimitError(
            "the repository has more files than the agent searches for an overlay",
            hint="move what is rendered into a repository of its own",
            limit=_MOST_PATHS,
        )
    return found


def blobs(mirror: Mirror, commit: str, wanted: Collection[str], *, cancelled: threading.Event) -> dict[str, bytes]:
    """Contents by blob. Raises DamagedError, and SourceUnavailableError where no caller waits any longer."""
    found: dict[str, bytes] = {}
    with _objects(mirror, commit) as objects:
        for blob in wanted:
            if cancelled.is_set():
                raise _lost(commit)
            found[blob] = objects.blob(blob)
    return found


def raw(mirror: Mirror, name: str, kind: str, *, most: int) -> bytes | None:
    """A commit or tag as Git stores it, of at most `most` bytes; None where `name` leads to no object of this kind. Raises SignatureError, DamagedError."""
    with _objects(mirror, name) as objects:
        return objects.whole(name, kind, most)


def commits_since(
    mirror: Mirror, commit: str, known: Collection[str], *, most: int, cancelled: threading.Event
) -> list[str]:
    """`commit` and what leads to it, newest first, without what leads to one of `known`. Raises SignatureError, SourceUnavailableError."""
    bounds = [f"^{each}" for each in known]
    arguments = ["rev-list", f"--max-count={most + 1}", "--end-of-options", commit, *bounds]
    outcome = command.run(mirror.confined(), arguments, seconds=_SECONDS, cancelled=cancelled)
    found = outcome.stdout.decode("ascii", "replace").split()
    if not outcome.ok:
        raise _lost(commit)
    if len(found) > most:
        raise SignatureError(
            "there are more commits since the last accepted one than the agent verifies at once",
            hint="push in smaller steps, or ask the operator to name a newer commit as since",
            limit=most,
            commit=commit,
        )
    return found


@dataclass(frozen=True, slots=True)
class _Check:
    """Raises LimitError when `until`, in seconds of the monotonic clock, has come, and SourceUnavailableError once no caller waits any longer."""

    commit: str
    cancelled: threading.Event
    until: float

    def __call__(self) -> None:
        if self.cancelled.is_set():
            raise _lost(self.commit)
        if time.monotonic() > self.until:
            raise LimitError(
                "matching the layers' paths takes too long",
                hint="write fewer globs with fewer wildcards, or layers with fewer files",
                field="spec.source",
                seconds=_LOOKING,
            )


class _Objects:
    """GitPython's object database of a mirror: two `git cat-file` processes, whatever the number of blobs.

    Not its `Repo`, which takes folders from GIT_DIR and its like of this process's environment.
    """

    def __init__(self, confined: Confined, path: Path, commit: str) -> None:
        from git.db import GitCmdObjectDB  # noqa: PLC0415  # as in `command`

        self._git: Final = confined
        self._database: Final = GitCmdObjectDB(str(path / "objects"), confined)
        self.commit: Final = commit

    def tree(self, layer: Layer) -> str:
        below = "" if layer.path == "." else layer.path
        blob, kind, _ = self._header(f"{self.commit}:{below}")
        if kind != "tree":
            raise _no_folder(layer, commit=self.commit)
        return blob

    def blob(self, blob: str) -> bytes:
        stream = cast("Any", self._database.stream(bytes.fromhex(blob)))  # pyright: ignore[reportUnknownMemberType]
        size: int = stream.size
        data: bytes = stream.read()
        del stream  # which reads on when it goes, so before its git does
        if len(data) != size:
            raise ValueError
        return data

    def leads_to_folder(self, entry: Entry, within: str) -> bool:
        """Whether a symbolic link's target is a folder of this commit, or cannot be known."""
        small = entry.size is not None and entry.size <= _LINK
        path = entry.path[len(within) + 1 :] if within else entry.path
        target = listing.link_target(path, self.blob(entry.blob)) if small else None
        if target is None:
            return True
        return self._header(f"{self.commit}:{target}")[1] != "blob"

    def whole(self, name: str, kind: str, most: int) -> bytes | None:
        found, its_kind, size = self._header(name)
        if its_kind != kind:
            return None
        if size > most:
            raise SignatureError(
                "a commit or tag is too long for its signature to be verified", limit=most, object=found
            )
        return self.blob(found)

    def _header(self, name: str) -> tuple[str, str, int]:
        """Hash, type and size of an object; empty and 0 where there is none. GitPython declares text and gives bytes."""
        try:
            blob, kind, size = cast("tuple[str | bytes, str | bytes, int]", self._git.get_object_header(name))
        except ValueError:
            return "", "", 0
        return _text(blob), _text(kind), size


def _text(word: str | bytes) -> str:
    return word if isinstance(word, str) else word.decode("ascii")


class DamagedError(Exception):
    """The mirror has the commit and cannot read what it needs."""


@contextmanager
def _objects(mirror: Mirror, commit: str) -> Generator[_Objects]:
    from git.exc import GitError  # noqa: PLC0415  # as in `command`
    from gitdb.exc import ODBError  # noqa: PLC0415  # pyright: ignore[reportMissingTypeStubs]

    confined = mirror.confined()
    try:
        yield _Objects(confined, mirror.path, commit)
    except (GitError, ODBError, ValueError, OSError):
        _check_limits(confined)
        raise DamagedError from None
    finally:
        confined.clear_cache()


def _check_limits(confined: Confined) -> None:
    """Raises LimitError where a `cat-file` ended because it may take no more."""
    for started in (confined.cat_file_header, confined.cat_file_all):
        process = cast("subprocess.Popen[bytes] | None", None if started is None else started.proc)
        if process is None or process.stderr is None:
            continue
        try:
            status = process.wait(_END)
        except subprocess.TimeoutExpired:
            continue
        words = process.stderr.read(command.ERROR_TAIL).decode("utf-8", "replace")
        failures.check_limits(status, words, address_space=confined.address_space, cpu_seconds=confined.cpu_seconds)


def _list(mirror: Mirror, tree: str, cancelled: threading.Event, *, most: int) -> bytes | None:
    """A tree's listing; None for more than `most` bytes where a layer's may be larger. Raises LimitError, DamagedError."""
    arguments = ["ls-tree", "-r", "-z", "-l", "--end-of-options", tree]
    outcome = command.run(mirror.confined(), arguments, seconds=_SECONDS, cancelled=cancelled, output=most)
    if outcome.stopped == "output" and most < _LISTING:
        return None
    if outcome.stopped == "output":
        raise LimitError("a layer lists more files than the agent accepts", hint="split the repository")
    if outcome.stopped:
        raise _lost(tree)
    # Where a blob was left out git lists it without a word, and where it cannot be read with one.
    if not outcome.ok or failures.own_words(outcome):
        raise DamagedError
    return outcome.stdout


def _no_folder(layer: Layer, *, commit: str) -> SourceError:
    return SourceError(
        "the repository has no such folder",
        hint="check spec.source.layers against this commit",
        layer=layer.path,
        commit=commit,
        field="spec.source.layers",
    )


def _lost(commit: str) -> SourceUnavailableError:
    return SourceUnavailableError(
        "the mirror does not have this commit", hint="the next poll fetches it again", commit=commit
    )
