"""The commits of one Application: every object carries the number of the commit that last changed it, and every commit changes one."""

from __future__ import annotations

import contextlib
import json
import threading
from typing import TYPE_CHECKING, Any

from bench.handover.calls import ANNOTATION_COMMIT

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Generator, Iterable

    from bench.handover.judge import Declared
    from testbed.installation import Tenant

CORE = 6
PASSING = 4
"""Names of objects that come and go. They are fewer than half, so that any number of commits at once may be pruned without asking."""
GATE = "deployments/gate"
_NEVER_READY = "testbed/never-ready"


class Commits:
    """`declared` is what each commit declares, by number, and `hashes` are theirs. Number 0 is the time before the first.

    `asked` is the newest commit that a run was asked for, so that no poll has to come before it is applied.
    """

    def __init__(self, tenant: Tenant, chance: random.Random, *, gate: bool = False) -> None:
        """With `gate` there is a Deployment in a wave of its own, before all else, that the rest waits for."""
        self.tenant: Tenant = tenant
        self.declared: list[Declared] = [{}]
        self.hashes: list[str] = [""]
        self.asked: int = 0
        self._chance: random.Random = chance
        self._gate: bool = gate
        self._lock: threading.Lock = threading.Lock()

    @property
    def newest(self) -> Declared:
        return self.declared[-1]

    def begin(self) -> None:
        """The first commit, and the Application, at the default interval."""
        names = [*(f"configmaps/core-{number}" for number in range(CORE)), "configmaps/passing-0"]
        _ = self.commit(change=[*names, *([GATE] if self._gate else [])])
        self.tenant.configure(interval="5m")
        self.asked = 1

    def any(self) -> int:
        """Change two objects, and let one come or go."""
        with self._lock:
            passing = f"configmaps/passing-{self._chance.randrange(PASSING)}"
            core = sorted(name for name in self.newest if "core" in name)
            goes = passing in self.newest and self._chance.random() < 0.6
            changed = [*self._chance.sample(core, 2), *([] if goes else [passing])]
            return self._commit(changed, [passing] if goes else [])

    def commit(self, *, change: Iterable[str], remove: Iterable[str] = (), ready: bool = True) -> int:
        """Its number. `change` makes what is not there; unless `ready`, a gate among it is not healthy until it is opened."""
        with self._lock:
            return self._commit(change, remove, ready=ready)

    def request(self) -> None:
        """Have the newest commit applied now rather than at the next poll."""
        newest = len(self.declared) - 1
        _ = self.tenant.request()
        self.asked = newest

    def open_gate(self) -> None:
        """Have the pods of the gate become ready."""
        cluster, path = self.tenant.controlplane, self.tenant.path("pods")
        for pod in cluster.get(path)["items"]:
            patch = {"metadata": {"labels": {_NEVER_READY: None}}}
            merge = "application/merge-patch+json"
            _ = cluster.request("PATCH", f"{path}/{pod['metadata']['name']}", patch, content_type=merge)

    def _commit(self, change: Iterable[str], remove: Iterable[str], *, ready: bool = True) -> int:
        number = len(self.declared)
        changed, removed = list(change), list(remove)
        files: dict[str, str | None] = {_file(name): _manifest(name, number, ready=ready) for name in changed}
        files.update({_file(name): None for name in removed})
        commit = self.tenant.commit(files)
        kept = {name: since for name, since in self.newest.items() if name not in removed}
        self.hashes.append(commit)
        self.declared.append(kept | dict.fromkeys(changed, number))
        return number


def _file(name: str) -> str:
    return f"{name.replace('/', '-')}.json"


def _manifest(name: str, number: int, *, ready: bool) -> str:
    metadata: dict[str, Any] = {"name": name.partition("/")[2], "annotations": {ANNOTATION_COMMIT: str(number)}}
    if name != GATE:
        return json.dumps(
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"commit": str(number)}}
        )
    metadata["annotations"]["signet-gitops.dev/wave"] = "1"
    labels = {"app": "gate"} | ({} if ready else {_NEVER_READY: "true"})
    pod = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "gate", "image": f"gate:{number}"}]}}
    spec = {"replicas": 1, "selector": {"matchLabels": {"app": "gate"}}, "template": pod}
    return json.dumps({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec})


@contextlib.contextmanager
def beside(work: Callable[[threading.Event], None]) -> Generator[None]:
    """Within it `work` goes on in a thread; it ends once the event is set, and its error is raised behind the block."""
    done = threading.Event()
    failed: list[BaseException] = []

    def working() -> None:
        try:
            work(done)
        except BaseException as error:  # noqa: BLE001  # raised where it is waited for
            failed.append(error)

    thread = threading.Thread(target=working, name="committing", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
    if failed:
        raise failed[0]
