"""Applications that get commit after commit while something happens to their agents, and a judgement of all that was written."""

from __future__ import annotations

import contextlib
import json
import random
import time
from typing import TYPE_CHECKING, Any

from bench.handover import judge
from bench.handover.calls import ANNOTATION_COMMIT, Log
from bench.handover.commits import Commits, beside
from testbed.processes import wait_until

if TYPE_CHECKING:
    import threading
    from collections.abc import Generator

    from bench.handover.calls import Call
    from testbed.node.installation import PodInstallation

_PACE = 2.0
_POD = "authentication.kubernetes.io/pod-name"
_CREDENTIAL = "authentication.kubernetes.io/credential-id"


class Load:
    """`count` tenants with an Application each, whose every object carries the number of the commit that last changed it."""

    def __init__(self, installation: PodInstallation, count: int) -> None:
        self.controlplane = installation.controlplane
        self.began = time.time()
        chance = random.Random(count)
        self.commits = [Commits(installation.tenant(), chance) for _ in range(count)]
        for each in self.commits:
            each.begin()
        self.until_applied()
        assert self.controlplane.audit_file is not None
        self._log = Log(self.controlplane.audit_file, self._pods)

    @contextlib.contextmanager
    def committing(self) -> Generator[None]:
        """Within it a commit goes to every repository every two seconds, and a run is asked for."""

        def work(done: threading.Event) -> None:
            while not done.wait(_PACE):
                self.commit()

        with beside(work):
            yield

    def commit(self) -> None:
        for each in self.commits:
            each.any()
            each.request()

    def until_applied(self) -> None:
        """Until exactly what the newest commits declare stands."""
        _ = wait_until(lambda: not self.differences(), 120, "the newest commits are applied", interval=0.5)

    def differences(self) -> list[judge.Fault]:
        return [
            fault
            for each in self.commits
            for fault in judge.lost(each.tenant.namespace, self._live(each.tenant.namespace), each.newest)
        ]

    def owners(self) -> dict[str, str]:
        """Namespace → the pod of the agent that its status names."""
        return {each.tenant.namespace: str(each.tenant.application.status().get("agent")) for each in self.commits}

    def versions(self) -> dict[str, str]:
        """resourceVersions of everything that was applied: they change with every write that changes anything."""
        found: dict[str, str] = {}
        for each in self.commits:
            for item in self._items(each.tenant.namespace):
                found[f"{each.tenant.namespace}/{item['metadata']['name']}"] = item["metadata"]["resourceVersion"]
        return found

    def calls(self) -> list[Call]:
        """What the API server wrote down of all agents, by pod."""
        return self._log.read()

    def faults(self) -> list[judge.Fault]:
        """Writes of older commits and deletions that no commit asked for."""
        commits = {each.tenant.namespace: each.declared for each in self.commits}
        return judge.judge(self.calls(), commits, since=self.began)

    def end(self) -> None:
        for each in self.commits:
            each.tenant.retire()
            _ = self.controlplane.delete(f"/api/v1/namespaces/{each.tenant.namespace}")

    def _live(self, namespace: str) -> dict[str, int]:
        return {
            f"configmaps/{item['metadata']['name']}": int(item["metadata"]["annotations"][ANNOTATION_COMMIT])
            for item in self._items(namespace)
        }

    def _items(self, namespace: str) -> list[dict[str, Any]]:
        path = f"/api/v1/namespaces/{namespace}/configmaps?labelSelector=signet-gitops.dev/application"
        return self.controlplane.get(path)["items"]

    def _pods(self) -> dict[str, str]:
        """Which pod each token was given to."""
        assert self.controlplane.audit_file is not None
        return pods_by_credential(self.controlplane.audit_file.read_text())


def pods_by_credential(log: str) -> dict[str, str]:
    """Credential id → pod, of all tokens of pods in an audit log."""
    found: dict[str, str] = {}
    for line in log.splitlines():
        if _POD in line:
            extra = json.loads(line)["user"].get("extra", {})
            if _POD in extra:
                found[extra[_CREDENTIAL][0]] = extra[_POD][0]
    return found
