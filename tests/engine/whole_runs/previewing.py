"""`agent diff -f` by a user, over the cluster, repository and store of an installation in memory: the whole command, and what it says."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from memory_world.cluster import CONFIG_MAPS, Cluster, Traffic, kinds_of

from agent.adapters.kubernetes.records import LABEL_RECORD, LABEL_SHARD
from agent.api import names
from agent.cli.applications import committed_files
from agent.cli.cluster import connection
from agent.cli.keys import user_stores
from agent.cli.main import main
from agent.manifests.kinds import Kinds
from agent.values.errors import ForbiddenError
from agent.values.ids import ObjectId
from agent.values.tree import get_object
from whole_runs.surroundings import NAME, NAMESPACE, UID

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
    from pathlib import Path

    from agent.manifests.kinds import Resource
    from agent.values.errors import AgentError
    from agent.values.tree import Object
    from whole_runs.installation import Installation

FORBIDDEN = ForbiddenError("RBAC does not allow it")
_AGENT = "signet-system"
_VERBS = frozenset({"get", "list", "delete"})


class Reader(Cluster):
    """The cluster as a user has it. `errors` are what requests such as `list ConfigMap`, `get ConfigMap` or `records` are answered with."""

    def __init__(self, world: Installation, errors: Mapping[str, AgentError], unavailable: Sequence[str]) -> None:
        super().__init__(world.server, Traffic())
        self._world = world
        self._errors = errors
        self._unavailable = unavailable

    async def kinds(self, *, fresh: bool = False) -> Kinds:
        served = [
            replace(each, verbs=_VERBS, plural=f"{each.kind.lower()}s")
            for each in kinds_of(self._world.server).preferred()
        ]
        return Kinds(served, self._unavailable)

    async def get(self, resource: Resource, namespace: str, name: str, **more: Any) -> Object | None:
        self._refuse(f"get {resource.kind}")
        return await super().get(resource, namespace, name, **more)

    async def list(self, resource: Resource, *, namespace: str = "", selector: str = "") -> Sequence[Object]:
        if namespace == _AGENT:
            self._refuse("records")
            stored = [_shard(name, text) for name, text in self._world.shards[UID].texts.items()]
            return stored if resource == CONFIG_MAPS and selector == f"{LABEL_RECORD}={UID}" else []
        self._refuse(f"list {resource.kind}" + ("" if namespace or not resource.namespaced else " of all namespaces"))
        return await super().list(resource, namespace=namespace, selector=selector)

    async def apply(self, resource: Resource, desired: Object, **more: Any) -> Object:
        assert more["dry_run"]
        self._refuse(f"apply {resource.kind}")
        return await super().apply(resource, desired, **more)

    def _refuse(self, request: str) -> None:
        if request in self._errors:
            raise self._errors[request]


def _shard(name: str, text: str) -> Object:
    labels: Object = {LABEL_RECORD: UID, LABEL_SHARD: name}
    return {"metadata": {"name": f"signet-record-{UID}-{name}", "labels": labels}, "data": {"record": text}}


@dataclass(frozen=True)
class Previewed:
    """What the command said, by `Kind/name`."""

    code: int
    objects: Mapping[str, dict[str, Any]]
    problems: list[dict[str, str]]
    unknown: list[str]
    errors: str

    def of(self, *actions: str) -> set[str]:
        return {name for name, each in self.objects.items() if each["action"] in actions}

    @property
    def actions(self) -> dict[str, str]:
        """Of the objects that are not as they should be."""
        return {name: each["action"] for name, each in self.objects.items() if each["action"] not in {"same", "left"}}

    @property
    def causes(self) -> dict[str, str]:
        return {name: each["cause"] for name, each in self.objects.items() if each["cause"]}


@dataclass
class User:
    """Who runs the command on a work tree. `knows_history`: the repository has the commits that were pushed; `store` is the user's own
    view of the store, None where none is named."""

    world: Installation
    folder: Path
    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]
    errors: dict[str, AgentError] = field(default_factory=dict)
    unavailable: tuple[str, ...] = ()
    knows_history: bool = True
    store: Any = None

    async def diff(self, files: Mapping[str, str], *flags: str, commit: str = "", exists: bool = True) -> Previewed:
        """`commit` is that of the work tree, where it has nothing else."""
        application, tree = self.world.application, self._checked_out(files)
        key = ObjectId(names.GROUP, names.KIND, NAMESPACE, NAME)
        if exists:
            self.world.server.put(key, application)
        elif self.world.server.get(key) is not None:
            self.world.server.delete(key)
        self._connect(commit)
        store = ["--vault-store", "main=http://store.example"] if self.store is not None else []
        arguments = ["diff", "-f", str(self.folder / "application.yaml"), str(tree), "-o", "json", *store, *flags]
        self.capsys.readouterr()
        code = await asyncio.to_thread(main, arguments)
        out, err = self.capsys.readouterr()
        assert "Traceback" not in err, err
        if not out:
            return Previewed(code, {}, [], [], err)
        said = json.loads(out)
        return Previewed(
            code,
            {f"{each['kind']}/{each['name']}": each for each in said["objects"]},
            said["problems"],
            said["unknown"],
            err,
        )

    async def render(self, files: Mapping[str, str], *flags: str) -> tuple[int, str, str]:
        """`agent render -f` of a work tree: exit code, output, errors."""
        arguments = ["render", "-f", str(self.folder / "application.yaml"), str(self._checked_out(files)), *flags]
        self._connect("")
        self.capsys.readouterr()
        code = await asyncio.to_thread(main, arguments)
        return code, *self.capsys.readouterr()

    def _checked_out(self, files: Mapping[str, str]) -> Path:
        """A work tree with these files and no others, beside the Application."""
        tree = self.folder / "tree"
        for path, text in files.items():
            (tree / path).parent.mkdir(parents=True, exist_ok=True)
            (tree / path).write_text(text)
        for path in [each for each in tree.rglob("*") if each.is_file()]:
            if str(path.relative_to(tree)) not in files:
                path.unlink()
        application = self.world.application
        (self.folder / "application.yaml").write_text(json.dumps({**application, "metadata": _named(application)}))
        return tree

    def _connect(self, commit: str) -> None:
        reader, world = Reader(self.world, self.errors, self.unavailable), self.world

        @asynccontextmanager
        async def connect(*_: object, **__: object) -> AsyncGenerator[Reader]:
            yield reader

        def committed(target: Any, of: str) -> Any:
            if "read commit" in self.errors:
                raise self.errors["read commit"]
            known = self.knows_history and int(of[:12]) <= len(world.git.commits)
            return asyncio.run(world.git.files(target.source, None, of)) if known else None

        self.monkeypatch.setattr(connection, "connect", connect)
        self.monkeypatch.setattr(connection, "settings", lambda *_: SimpleNamespace(namespace=NAMESPACE))
        self.monkeypatch.setattr(committed_files, "read", lambda target, of: _in_thread(committed, target, of))

        async def commit_of(*_: object) -> str:
            return commit

        async def close() -> None: ...

        self.monkeypatch.setattr(committed_files, "commit_of", commit_of)

        async def nothing(*_: object) -> dict[object, object]:
            return {}

        resolve = nothing if self.store is None else self.store.resolve
        self.monkeypatch.setattr(user_stores, "open_stores", lambda _: SimpleNamespace(resolve=resolve, close=close))


def _in_thread(work: Any, *arguments: Any) -> Any:
    """The command has a loop of its own that runs."""
    import concurrent.futures

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        return pool.submit(work, *arguments).result()


def _named(application: Object) -> Object:
    metadata = get_object(application, "metadata")
    return {"name": metadata["name"], "namespace": metadata["namespace"]}


@pytest.fixture
def asking(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[[Installation], User]:
    def user(world: Installation, **more: Any) -> User:
        return User(world, tmp_path, monkeypatch, capsys, **more)

    return user
