"""What an earlier agent left in the cluster is taken up with no object applied again, and what is written since can be read by it.

The vector is what etcd held at the end of a run of that agent, under the definition of that time. An upgrade is `agent install`: definition
and roles first, then the agent.
"""

from __future__ import annotations

import base64
import json
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bench.handover.calls import Log
from testbed import agent as agents
from testbed.agent import Deployed
from testbed.controlplane import ControlPlane
from testbed.installation import Installation, Report
from testbed.processes import wait_until

if TYPE_CHECKING:
    from collections.abc import Generator

    from testbed.gitserver import GitServer
    from testbed.openbao import OpenBao

VECTORS = Path(__file__).parents[1] / "vectors" / "upgrade"
DEFINITION = "/registry/apiextensions.k8s.io/customresourcedefinitions/applications.signet-gitops.dev"

SERVED = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/applications.signet-gitops.dev"


class Before:
    """A cluster as the agent of `vector` left it, with its repository and its store."""

    def __init__(self, vector: dict[str, Any], installation: Installation) -> None:
        self.vector = vector
        self.namespace: str = vector["namespace"]
        self.installation = installation
        self.controlplane = installation.controlplane
        self.application = Deployed(self.controlplane, self.namespace, "app")
        self.repository = installation.gitserver.create(f"{self.namespace}-{vector['mount']}")
        bundle = installation.supervisor.folder / "repository.bundle"
        bundle.write_bytes(base64.b64decode(vector["repository"]))
        self.repository.git("fetch", "--quiet", str(bundle), "main:main")
        assert self.repository.head() == vector["commit"]
        self._restore()

    def _restore(self) -> None:
        stored: dict[str, Any] = dict(self.vector["etcd"])
        definition = {DEFINITION: json.dumps(stored.pop(DEFINITION)).encode()}
        for each in stored.values():
            if isinstance(each, dict):
                each["spec"]["source"]["url"] = self.repository.url
        self.controlplane.restore(definition)
        path = f"{agents.API}/applications"
        wait_until(lambda: self.controlplane.request("GET", path)[0] == 200, 60, "the old definition is served")
        self.controlplane.restore(
            {
                key: json.dumps(each).encode() if isinstance(each, dict) else base64.b64decode(each)
                for key, each in stored.items()
            }
        )

    def upgrade(self) -> None:
        """What an operator does, and the tenant's surroundings that are not in the vector: roles, Git's password, the store."""
        agents.tenant(self.controlplane, self.namespace)
        git = self.installation.gitserver
        data = {"username": git.username, "password": git.password, "ca.crt": git.ca_pem or ""}
        metadata = {"name": "git", "namespace": self.namespace}
        self.controlplane.apply({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data})
        self.installation.mount = self.vector["mount"]
        self.installation.prepare()
        path = f"apps/{self.vector['store']}"
        self.installation.openbao.put(path, {"password": "kept in the store"}, mount=self.installation.mount)
        self.installation.agent.start()

    def report(self) -> Report:
        return Report(self.controlplane.get(self.application.path).get("status") or {})

    def until_run(self, value: str) -> Report:
        """A run that was asked for has ended."""
        annotations = {"signet-gitops.dev/requested-at": value}
        self.controlplane.merge(self.application.path, {"metadata": {"annotations": annotations}})

        def ran() -> Report | None:
            report = self.report()
            return report if report.status.get("lastHandledRequestedAt") == value else None

        return wait_until(ran, 60, "a run")

    def shards(self) -> dict[str, str]:
        """What is stored of the record."""
        items = self.controlplane.get("/api/v1/namespaces/signet-system/configmaps")["items"]
        return {
            item["metadata"]["name"].rpartition("-record-")[2][37:]: item["data"]["record"]
            for item in items
            if item["metadata"]["name"].startswith("signet-record-")
        }


@pytest.fixture(params=sorted(VECTORS.glob("*.json")), ids=lambda path: path.stem)
def before(request: pytest.FixtureRequest, gitserver: GitServer, openbao: OpenBao) -> Generator[Before]:
    vector = json.loads(request.param.read_text("utf-8"))
    with ControlPlane(audit=True) as controlplane, Installation(controlplane, gitserver, openbao) as installation:
        yield Before(vector, installation)


def body(shard: str) -> dict[str, Any]:
    """A shard's version is before its first dot, and what it says behind its last."""
    version, _, _, packed = shard.split(".", 3)
    assert version == "1"
    return json.loads(zlib.decompress(base64.b64decode(packed)))


def shape(value: object) -> object:
    """Its type, and those of the fields of an object."""
    return {key: shape(each) for key, each in value.items()} if isinstance(value, dict) else type(value)


def writes(log: Log, namespace: str) -> set[str]:
    """What agents wrote there, without statuses and events."""
    calls = [each for each in log.read() if each.agent and each.namespace == namespace]
    assert calls, "agents are seen"
    done = (each for each in calls if each.verb not in {"get", "list", "watch"})
    return {
        f"{each.verb} {each.object}"
        for each in done
        if each.resource.partition("/")[0] not in {"applications", "events"}
    }


def test_nothing_is_applied_again_and_the_earlier_agent_can_read_what_is_written_since(before: Before):
    old = {name: body(text) for name, text in before.shards().items()}
    spec = before.controlplane.get(before.application.path)["spec"]
    definition = before.controlplane.get(SERVED)
    before.upgrade()
    log = Log(
        before.controlplane.audit_file,  # pyright: ignore[reportArgumentType]
        lambda: dict.fromkeys(before.installation.agent.credentials, "agent"),
    )
    report = before.until_run("1")
    assert report.ready
    assert report.counts["total"] == 5
    assert report.status["revision"] == f"main@{before.vector['commit'][:12]}"
    assert writes(log, before.namespace) == set()

    before.repository.commit(
        {
            "prod/settings.yaml": json.dumps(
                {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"size": "4"}}
            )
        }
    )
    assert before.until_run("2").ready
    assert writes(log, before.namespace) == {"patch configmaps/settings"}
    if not before.vector["read_back"]:
        return
    new = {name: body(text) for name, text in before.shards().items()}
    assert set(old) == set(new)
    for name, each in old["objects-0"].items():
        assert shape(new["objects-0"][name]) == shape(each), name
    known, now = shape(old["head"]), shape(new["head"])
    assert {key: now[key] for key in known} == known

    # the earlier definition takes the Application as it is
    metadata = {"name": definition["metadata"]["name"]}
    before.controlplane.apply({**definition, "metadata": metadata, "status": {}})
    served = before.controlplane.get(SERVED)
    assert served["metadata"]["generation"] > definition["metadata"]["generation"] + 1, "it was another one meanwhile"
    assert before.controlplane.get(before.application.path)["spec"] == spec
