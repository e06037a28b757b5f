"""Remote bases of an overlay: other repositories at a full commit, as folders among the files that are rendered.

An Application names the repositories, and the operator grants them. Text in Git chooses among these and nothing else.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from agent.values.errors import AgentError, LimitError, RemoteBaseError, YamlError
from agent.yaml.read import manifests as yaml

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from agent.values.tree import Tree

ErrorT = TypeVar("ErrorT", bound=AgentError)

MOST: Final = 16
"""Remote bases of one overlay."""
DEEPEST: Final = 4
"""Remote bases that name one another in a chain."""
FIELDS: Final = ("resources", "bases", "components")
"""Of a kustomization: what may name a folder of another repository."""
_ROOT: Final = ".remote-bases"
_LONGEST: Final = 2048
"""Characters of an address."""
_REFS: Final = frozenset({"ref", "version"})
_IGNORED: Final = frozenset({"timeout", "submodules"})
"""Parameters for kustomize's own git."""
_FULL: Final = re.compile(r"[0-9a-f]{40}")
_FORM: Final = "write https://host/repository//folder?ref= and the 40 digits of a commit: a branch or tag may move"


@dataclass(frozen=True, slots=True)
class Base:
    """A commit of another repository."""

    url: str
    commit: str

    @property
    def folder(self) -> str:
        """Where its files are while an overlay is rendered."""
        return f"{_ROOT}/{hashlib.sha256(f'{self.commit} {self.url}'.encode()).hexdigest()[:32]}"


@dataclass(frozen=True, slots=True)
class Named:
    """A folder of a base, `.` for its root."""

    base: Base
    path: str

    @property
    def folder(self) -> str:
        return self.base.folder if self.path == "." else f"{self.base.folder}/{self.path}"


@dataclass(frozen=True, slots=True)
class Allowed:
    """The repositories that an Application declares, and the addresses below which its operator grants them."""

    declared: tuple[str, ...] = ()
    granted: tuple[str, ...] = ()

    def named(self, text: str) -> Named | None:
        """What a text of a kustomization names; None for one that is no declared repository.

        Raises RemoteBaseError for a repository that is not granted, and for a form that names no full commit.
        """
        address, _, query = text.partition("?")
        if not self.declared or len(text) > _LONGEST:
            return None
        for form in (address, f"https://{address}"):
            found = [url for url in self.declared if f"{form}/".startswith((f"{url}/", f"{url}.git/"))]
            if found:
                url = max(found, key=len)
                return self._named(url, form[len(url) :].removeprefix(".git"), query, text)
        return None

    def _named(self, url: str, path: str, query: str, text: str) -> Named:
        if not grants(self.granted, url):
            raise RemoteBaseError(
                "the operator does not grant this repository as a remote base",
                hint="the operator can grant it with git.remoteBases in the operator's file",
                address=text,
            )
        steps = [step for step in path.split("/") if step not in {"", "."}]
        if ".." in steps or not path.isprintable():
            raise RemoteBaseError(
                "a remote base is not a folder of its repository", hint="write the path without ..", address=text
            )
        return Named(Base(url, _commit(query, text)), "/".join(steps) or ".")


def grants(granted: Iterable[str], url: str) -> bool:
    """Whether an operator's addresses, each a repository or what its address begins with up to a slash, grant a repository."""
    return any(f"{url}/".startswith(f"{address.rstrip('/')}/") for address in granted)


def _commit(query: str, text: str) -> str:
    pairs = [pair.partition("=")[::2] for pair in query.split("&") if pair]
    refs = [value for name, value in pairs if name in _REFS]
    if len(refs) != 1 or not _FULL.fullmatch(refs[0]) or not {name for name, _ in pairs} <= _REFS | _IGNORED:
        raise RemoteBaseError("a remote base is not named by a full commit", hint=_FORM, address=text)
    return refs[0]


def root_of(path: str) -> str:
    """The folder of the base that a path is in; empty for one of the Application's own repository."""
    top, _, rest = path.partition("/")
    return f"{top}/{rest.partition('/')[0]}" if top == _ROOT and rest else ""


def check_sealed(paths: Iterable[str]) -> None:
    """Raises RemoteBaseError for an encrypted file of a base: keys that a repository is granted open its own files alone."""
    for path in paths:
        if root_of(path):
            raise RemoteBaseError(
                "a remote base has an encrypted file, but keys open only files of the Application's own repository",
                hint="put the values into the Application's own repository, and patch them into the base",
                file=path,
            )


def is_outside(path: str, root: str) -> bool:
    """Whether a path leaves the base whose folder is `root`."""
    return bool(root) and path != root and not path.startswith(f"{root}/")


def shown(path: str, bases: Collection[Base]) -> str:
    """A path as people know it: a file of a base by its repository and commit."""
    root = root_of(path)
    base = next((each for each in bases if root == each.folder), None)
    return path if base is None else f"{base.url}//{path[len(root) + 1 :]}?ref={base.commit}"


def placed(error: ErrorT, bases: Collection[Base]) -> ErrorT:
    """An error that names a file of a base as people know it."""
    facts = dict(error.facts)
    if "file" in facts:
        facts["file"] = shown(str(facts["file"]), bases)
    if "says" in facts:
        for base in bases:
            facts["says"] = str(facts["says"]).replace(f"/{base.folder}", f"{base.url}/")
    if facts == error.facts:
        return error
    copied = error.copy()
    copied.facts = facts
    return copied


def replaced(data: bytes, names: Mapping[str, str], *, file: str) -> bytes:
    """A kustomization whose addresses are paths, with every line where it was unless an address stands elsewhere too. Raises YamlError."""
    wanted = [_with_paths(each.tree, names) for each in yaml.parse(data, file=file, strict=False)]
    text = data
    for address in sorted(names, key=len, reverse=True):
        text = text.replace(
            address.encode("utf-8", "surrogateescape"), names[address].encode("utf-8", "surrogateescape")
        )
    try:
        if [each.tree for each in yaml.parse(text, file=file, strict=False)] == wanted:
            return text
    except (YamlError, LimitError):
        pass
    written = (json.dumps(each, ensure_ascii=False).encode("utf-8", "surrogateescape") for each in wanted)
    return b"\n---\n".join(written)


def _with_paths(tree: Tree, names: Mapping[str, str]) -> Tree:
    if not isinstance(tree, dict):
        return tree

    def of(each: Tree) -> Tree:
        return names.get(each, each) if isinstance(each, str) else each

    given = {name: tree.get(name) for name in FIELDS}
    return {**tree, **{name: [*map(of, each)] for name, each in given.items() if isinstance(each, list)}}
