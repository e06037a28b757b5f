"""What happens to the cluster, the agent, the store or Git in the scenarios of `diff_scenarios`."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from diff_files import MANY, sealing_pair
from manifests_written import config_map

from testbed.processes import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from testbed.installation import Installation, Tenant


@contextlib.contextmanager
def nothing(_: Installation) -> Iterator[None]:
    yield


def edit(tenant: Tenant) -> None:
    tenant.controlplane.merge(tenant.path("configmaps", "a"), {"data": {"value": "edited"}})


def add(tenant: Tenant) -> None:
    tenant.controlplane.kubectl("patch", "configmap/a", "--namespace", tenant.namespace, "-p", '{"data":{"extra":"x"}}')


def delete(tenant: Tenant) -> None:
    tenant.controlplane.delete(tenant.path("configmaps", "a"))


def by_kubectl(tenant: Tenant) -> None:
    tenant.controlplane.kubectl(
        "apply", "--namespace", tenant.namespace, "-f", "-", input=config_map("new", value="1", gone="1")
    )


def until_gone(tenant: Tenant) -> None:
    tenant.until(lambda report: report.counts.get("finished") == 1, "a finished Job is gone")


def by_another(tenant: Tenant) -> None:
    other = tenant.second("other")
    other.deploy({"new.yaml": config_map("new", value="theirs")})


def broken(tenant: Tenant) -> None:
    """The other Application's spec is not valid any more."""
    other = tenant.second("other")
    other.deploy({"new.yaml": config_map("new", value="theirs")})
    other.configure(source=other.source("base", "base"))
    other.until(lambda report: not report.ready, "the spec is refused")


def copy(tenant: Tenant) -> None:
    metadata = (tenant.get("configmaps", "a") or {})["metadata"]
    kept = {"labels": metadata["labels"], "annotations": metadata["annotations"]}
    tenant.controlplane.create(
        tenant.path("configmaps"), {"metadata": {"name": "copy", **kept}, "data": {"value": "1"}}
    )


def lose_record(tenant: Tenant) -> None:
    cluster = tenant.controlplane
    uid = cluster.get(tenant.application.path)["metadata"]["uid"]
    root = f"/api/v1/namespaces/{tenant.installation.agent.namespace}/configmaps"
    for item in cluster.get(root)["items"]:
        if item["metadata"]["name"].startswith(f"signet-record-{uid}-"):
            cluster.delete(f"{root}/{item['metadata']['name']}")


def edit_and_delete(tenant: Tenant) -> None:
    edit(tenant)
    tenant.controlplane.delete(tenant.path("configmaps", "b"))


def kill(tenant: Tenant) -> None:
    """In the middle of a sync."""
    agent = tenant.installation.agent
    tenant.commit({f"{number}.yaml": config_map(f"n{number}", value="2") for number in range(MANY)})
    before = agent.audit_file.stat().st_size
    tenant.request()
    wait_until(lambda: agent.audit_file.stat().st_size > before, 60, "the sync begins", interval=0.002)
    agent.kill()


def give_sealing_key(tenant: Tenant) -> None:
    """To the agent; and to the user, as a file."""
    installation, pair = tenant.installation, sealing_pair()
    (pair.folder / "key.pem").write_text(pair.key)
    installation.controlplane.apply({**pair.manifest, "metadata": {"name": pair.name, "namespace": "signet-system"}})
    installation.configure(sealedSecrets={"keys": [{"secretName": pair.name}]})


def by_sealing_key(tenant: Tenant) -> Sequence[str]:
    operator_file = str(tenant.installation.agent.operator_file)
    return "--operator-file", operator_file, "--sealing-key", str(sealing_pair().folder / "key.pem")


@contextlib.contextmanager
def sealing_key_given(installation: Installation) -> Iterator[None]:
    try:
        yield
    finally:
        installation.configure()


@contextlib.contextmanager
def store_sealed(installation: Installation) -> Iterator[None]:
    with installation.openbao.sealed():
        yield


@contextlib.contextmanager
def store_away(installation: Installation) -> Iterator[None]:
    with installation.openbao.away():
        yield


@contextlib.contextmanager
def git_away(installation: Installation) -> Iterator[None]:
    with installation.gitserver.away():
        yield
