"""Searching everything that an agent emitted for secrets that are known to the searcher, in every form that they may take.

A finding names the place, the form and the canary's label, never the value.
"""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from base64 import b64encode
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote, quote_plus

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from testbed.cluster import Cluster

_SHORTEST = 8
_PROC = Path("/proc")
_SAMPLE_SECONDS = 0.01
_SAMPLES_OF_ONE = 5


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """A canary called `label` was seen at `place`, written as `form`."""

    place: str
    form: str
    label: str

    def __str__(self) -> str:
        return f"{self.label}, as {self.form}, in {self.place}"


@dataclass(slots=True)
class Searched:
    """How much was looked at: a search that saw nothing finds nothing."""

    texts: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class Canaries:
    """The values to search for, by labels that are safe to show. Values of fewer than 8 bytes are refused: they occur by chance.

    `searched` counts what all searches together have looked at.
    """

    values: Mapping[str, str | bytes]
    searched: Searched = field(default_factory=Searched)
    _patterns: dict[bytes, tuple[str, str]] = field(default_factory=dict[bytes, "tuple[str, str]"], repr=False)

    def __post_init__(self) -> None:
        for label, value in self.values.items():
            raw = value.encode() if isinstance(value, str) else value
            if len(raw) < _SHORTEST:
                raise ValueError(f"{label}: a canary has {_SHORTEST} bytes or more")
            for name, pattern in forms(raw):
                _ = self._patterns.setdefault(pattern, (name, label))

    @property
    def forms(self) -> int:
        """How many texts each search looks for."""
        return len(self._patterns)

    def __len__(self) -> int:
        return len(self.values)

    def search_text(self, text: str | bytes, place: str) -> list[Finding]:
        """In one text."""
        raw = text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
        self.searched.texts += 1
        self.searched.bytes += len(raw)
        return sorted({Finding(place, *found) for pattern, found in self._patterns.items() if pattern in raw})

    def search_tree(self, tree: Any, place: str) -> list[Finding]:
        """In the keys and leaves of a JSON-like tree; a finding names the leaf."""
        leaves = list(_leaves(tree, ""))
        if not self.search_text("\n".join(text for _, text in leaves), place):
            return []
        return sorted({finding for path, text in leaves for finding in self.search_text(text, f"{place}{path}")})

    def search_files(self, *roots: Path, ignore: Collection[str] = ()) -> list[Finding]:
        """In files and below folders, their names and link targets too; bare Git repositories also unpacked.

        `ignore` names files that hold a secret by purpose. A file that goes away meanwhile is passed over.
        """
        found: list[Finding] = []
        for root in roots:
            for path in [root, *sorted(root.rglob("*"))] if root.is_dir() else [root]:
                found += self.search_text(os.fsencode(path), f"name of {path}")
                if path.name in ignore:
                    continue
                try:
                    if path.is_symlink():
                        found += self.search_text(os.fsencode(path.readlink()), f"target of {path}")
                    elif path.is_file():
                        found += self.search_text(path.read_bytes(), str(path))
                    elif (path / "objects").is_dir() and (path / "HEAD").exists():
                        found += self.search_text(_unpacked(path), f"objects of {path}")
                except FileNotFoundError:
                    continue
        return found

    def search_cluster(self, cluster: Cluster, namespaces: Collection[str] = ()) -> list[Finding]:
        """In every object of every kind that can be listed, in all namespaces or in `namespaces`; of a Secret all but its data."""
        found: list[Finding] = []
        for path in _collections(cluster, namespaces):
            status, answer = cluster.request("GET", path)
            if status in (403, 404, 405):
                continue
            items: list[dict[str, Any]] = answer.get("items") or []
            for item in items:
                metadata = item["metadata"]
                shown = {key: value for key, value in item.items() if key != "data" or not path.endswith("/secrets")}
                found += self.search_tree(shown, f"{path}/{metadata.get('namespace', '')}/{metadata['name']}")
        return found

    def search_process(self, *pids: int) -> list[Finding]:
        """In the command lines and environments of processes and all that descend from them, as they are now."""
        found: list[Finding] = []
        for pid in _family(set(pids)):
            for name in ("cmdline", "environ"):
                found += self.search_text(_read(pid, name), f"{name} of process {pid}")
        return found


class ProcessWatch:
    """Remembers the command lines and environments of processes and of every child that lived for some 10 ms. A context manager."""

    def __init__(self, *pids: int) -> None:
        self._family: set[int] = set(pids)
        self._strangers: set[int] = set()
        self._young: dict[int, int] = dict.fromkeys(pids, _SAMPLES_OF_ONE)
        self._stop: threading.Event = threading.Event()
        self._thread: threading.Thread = threading.Thread(target=self._run, name="process-watch", daemon=True)
        self.seen: dict[tuple[str, bytes], int] = {}

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def search(self, canaries: Canaries) -> list[Finding]:
        """In everything that was seen."""
        return [
            finding
            for (name, text), pid in list(self.seen.items())
            for finding in canaries.search_text(text, f"{name} of process {pid}")
        ]

    @property
    def processes(self) -> int:
        """How many processes were seen."""
        return len(self._family)

    def _run(self) -> None:
        while not self._stop.is_set():
            self._sample()
            time.sleep(_SAMPLE_SECONDS)

    def _sample(self) -> None:
        for pid in sorted(_pids() - self._family - self._strangers):
            if _parent(pid) in self._family:
                self._family.add(pid)
                self._young[pid] = _SAMPLES_OF_ONE
            else:
                self._strangers.add(pid)
        for pid, left in list(self._young.items()):  # between fork and exec a child looks like its parent
            for name in ("cmdline", "environ"):
                if text := _read(pid, name):
                    _ = self.seen.setdefault((name, text), pid)
            if left > 1:
                self._young[pid] = left - 1
            else:
                del self._young[pid]


def forms(raw: bytes) -> Iterator[tuple[str, bytes]]:
    """The ways in which a value may be written, each with its name; forms that are equal to an earlier one are left to the caller."""
    yield "plain text", raw
    for name, encoded in _base64(raw):
        yield name, encoded
    whole = b64encode(raw)
    for name, encoded in _base64(whole):
        yield f"{name} twice", encoded
    for name, text in _escaped(raw):
        yield name, text
    yield "hex", raw.hex().encode()
    yield "hex", raw.hex().upper().encode()
    yield "hex with colons", raw.hex(":").encode()


def _base64(raw: bytes) -> Iterator[tuple[str, bytes]]:
    """At each of the three offsets that a value may have within a larger one, without the characters that its neighbours share."""
    for offset in range(3):
        encoded = b64encode(bytes(offset) + raw)
        first, last = -(-offset * 8 // 6), (offset + len(raw)) * 8 // 6
        part = encoded[first:last]
        yield f"base64 at offset {offset}", part
        yield f"base64 (URL) at offset {offset}", part.translate(bytes.maketrans(b"+/", b"-_"))


def _escaped(raw: bytes) -> Iterator[tuple[str, bytes]]:
    for safe in ("", "/"):
        percent = quote(raw, safe=safe)
        yield "URL encoding", percent.encode()
        yield "URL encoding", _lower_percent(percent).encode()
    yield "form encoding", quote_plus(raw).encode()
    yield "Python bytes", repr(raw)[2:-1].encode()
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return
    yield "Python text", repr(text)[1:-1].encode()
    yield "escaped controls", text.encode("unicode_escape")
    for ascii_only in (True, False):
        once = json.dumps(text, ensure_ascii=ascii_only)[1:-1]
        yield "JSON", once.encode()
        yield "JSON within JSON", json.dumps(once, ensure_ascii=ascii_only)[1:-1].encode()
        yield "JSON of Go", _go(once).encode()
        yield "JSON of Go within JSON", json.dumps(_go(once), ensure_ascii=ascii_only)[1:-1].encode()


def _lower_percent(text: str) -> str:
    parts = text.split("%")
    return parts[0] + "".join(f"%{part[:2].lower()}{part[2:]}" for part in parts[1:])


def _go(text: str) -> str:
    """What Go's encoder does beyond JSON: it escapes what HTML would read."""
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _leaves(tree: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(tree, dict):
        for key, value in tree.items():  # pyright: ignore[reportUnknownVariableType]
            yield f"{path} (a key)", str(key)  # pyright: ignore[reportUnknownArgumentType]
            yield from _leaves(value, f"{path}.{key}")
    elif isinstance(tree, list):
        for index, value in enumerate(tree):  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
            yield from _leaves(value, f"{path}[{index}]")
    elif isinstance(tree, str):
        yield path, tree


def _collections(cluster: Cluster, namespaces: Collection[str]) -> Iterator[str]:
    """Paths that list every kind; `namespaces` leaves out what has no namespace."""
    roots = [f"/api/{version}" for version in cluster.get("/api")["versions"]]
    roots += [f"/apis/{group['preferredVersion']['groupVersion']}" for group in cluster.get("/apis")["groups"]]
    for root in roots:
        status, answer = cluster.request("GET", root)
        if status != 200:  # an aggregated API that is away
            continue
        for resource in answer["resources"]:
            name = resource["name"]
            if "/" in name or "list" not in resource["verbs"]:
                continue
            if not namespaces:
                yield f"{root}/{name}"
            elif resource["namespaced"]:
                yield from (f"{root}/namespaces/{namespace}/{name}" for namespace in namespaces)


def _unpacked(repository: Path) -> bytes:
    """Every object of a bare repository, inflated."""
    command = ["git", f"--git-dir={repository}", "cat-file", "--batch-all-objects", "--batch", "--unordered"]
    return subprocess.run(command, capture_output=True, check=False).stdout


def _pids() -> set[int]:
    return {int(name) for name in os.listdir(_PROC) if name.isdecimal()}  # noqa: PTH208  # a hundred times a second


def _family(roots: Iterable[int]) -> list[int]:
    parents = {pid: _parent(pid) for pid in _pids()}
    found = set(roots)
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return sorted(found)


def _parent(pid: int) -> int:
    """0 for a process that is gone."""
    stat = _read(pid, "stat")
    return int(stat.rpartition(b")")[2].split()[1]) if stat else 0


def _read(pid: int, name: str) -> bytes:
    try:
        return (_PROC / str(pid) / name).read_bytes()
    except OSError:  # it ended, or belongs to another user
        return b""
