"""A Job that finished is done, however it goes away: real controllers finish and delete it, and the agent creates it once."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from testbed.processes import wait_until

if TYPE_CHECKING:
    from testbed.installation import Report, Tenant


def job(name: str = "migrate", *, ttl: int | None = 1, image: str = "registry.example/app:1", **spec: object) -> str:
    container: dict[str, object] = {"name": "main", "image": image}
    lifetime = {"ttlSecondsAfterFinished": ttl} if ttl is not None else {}
    template = {"spec": {"restartPolicy": "Never", "containers": [container]}}
    tree = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}}
    return json.dumps({**tree, "spec": {"template": template, **lifetime, **spec}})


def stuck(name: str = "migrate", **spec: object) -> str:
    """A Job whose pod never runs."""
    tree = json.loads(job(name, **spec))
    tree["spec"]["template"]["metadata"] = {"labels": {"testbed/never-ready": "true"}}
    return json.dumps(tree)


def applies(tenant: Tenant, name: str = "migrate") -> int:
    """How often the agent created or changed it, by the audit trail."""
    about = f"Job.batch {tenant.namespace}/{name}"
    trail = tenant.installation.agent.audit()
    return sum(each.get("object") == about and each["phase"] == "outcome" and each["result"] == "ok" for each in trail)


def until_gone(tenant: Tenant, name: str = "migrate") -> None:
    wait_until(lambda: tenant.get("batch/jobs", name) is None, 60, f"{name} is gone")


def delete(tenant: Tenant, name: str) -> None:
    background = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"}
    tenant.controlplane.checked("DELETE", tenant.path("batch/jobs", name), background)


def finished(tenant: Tenant, reason: str = "Healthy", number: int = 1) -> Report:
    return tenant.until(
        lambda each: each.counts.get("finished") == number and each.condition("Healthy").get("reason") == reason,
        f"{number} finished, {reason}",
    )


def test_a_job_with_a_time_to_live_runs_once(tenant: Tenant):
    tenant.deploy({"job.yaml": job()})
    until_gone(tenant)
    report = finished(tenant)
    assert report.ready
    time.sleep(10)  # nothing is to happen: before, it ran every other second
    assert applies(tenant) == 1
    assert tenant.get("batch/jobs", "migrate") is None
    tenant.sync()
    assert applies(tenant) == 1


def test_a_job_that_is_gone_the_moment_it_finishes_lets_its_wave_go_on(tenant: Tenant):
    early = json.loads(job(ttl=0))
    early["metadata"]["annotations"] = {"signet-gitops.dev/wave": "25"}
    late = json.loads(job("late", ttl=None))
    late["metadata"]["annotations"] = {"signet-gitops.dev/wave": "35"}
    tenant.deploy({"early.yaml": json.dumps(early), "late.yaml": json.dumps(late)})
    finished(tenant)
    tenant.sync()
    assert (applies(tenant), applies(tenant, "late")) == (1, 1)


def test_a_job_that_failed_and_is_gone_stays_degraded_and_is_not_tried_again(tenant: Tenant):
    tenant.commit({"job.yaml": stuck(activeDeadlineSeconds=1)})
    tenant.application.apply(tenant.spec())
    tenant.until_ready()
    until_gone(tenant)
    report = finished(tenant, "Degraded")
    assert "migrate" in report.condition("Healthy")["message"]
    tenant.sync()
    assert applies(tenant) == 1


def test_what_is_deleted_by_hand_runs_again_only_where_it_had_not_finished(tenant: Tenant):
    tenant.deploy({"done.yaml": job("done", ttl=None), "running.yaml": stuck("running", ttl=None)})
    path = tenant.path("batch/jobs", "done")
    wait_until(lambda: tenant.controlplane.get(path).get("status", {}).get("succeeded") == 1, 60, "done has finished")
    wait_until(lambda: tenant.controlplane.get(path)["status"].get("completionTime"), 60, "done is complete")
    before = (tenant.get("batch/jobs", "running") or {})["metadata"]["uid"]
    for name in ("done", "running"):
        delete(tenant, name)
    again = wait_until(
        lambda: (found := tenant.get("batch/jobs", "running")) and found["metadata"]["uid"] != before, 60, "healed"
    )
    assert again
    finished(tenant, "Progressing")
    tenant.sync()
    assert applies(tenant, "done") == 1
    assert tenant.get("batch/jobs", "done") is None


def test_another_image_runs_and_a_revert_does_not(tenant: Tenant):
    first = job()
    tenant.deploy({"job.yaml": first})
    until_gone(tenant)
    finished(tenant)
    tenant.sync({"job.yaml": job(image="registry.example/app:2")})
    assert applies(tenant) == 2
    until_gone(tenant)
    finished(tenant)
    report = tenant.sync({"job.yaml": first})
    assert report.ready
    assert applies(tenant) == 2


def test_an_agent_that_starts_again_runs_nothing_again(tenant: Tenant):
    tenant.deploy({"job.yaml": job(), "slow.yaml": job("slow", ttl=None)})
    finished(tenant)
    tenant.sync()  # after it the record has what the status says
    agent = tenant.installation.agent
    agent.kill()
    delete(tenant, "slow")
    until_gone(tenant, "slow")
    agent.start()
    finished(tenant, number=2)
    tenant.sync()
    assert (applies(tenant), applies(tenant, "slow")) == (1, 1)


def command(tenant: Tenant, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    config = tenant.controlplane.kubeconfig(folder / "kubeconfig")
    program = str(Path(sys.executable).with_name("agent"))
    name = f"{tenant.namespace}/{tenant.application.name}"
    return subprocess.run(
        [program, *arguments, name, "--kubeconfig", str(config)], capture_output=True, text=True, check=False
    )


def test_it_runs_again_on_request(tenant: Tenant, tmp_path: Path):
    tenant.deploy({"job.yaml": job()})
    until_gone(tenant)
    finished(tenant)
    assert "1 finished" in command(tenant, tmp_path, "status").stdout
    done = command(tenant, tmp_path, "sync", "--rerun", "Job/migrate")
    assert (done.returncode, applies(tenant)) == (0, 2), done.stderr
    assert any(each.get("action") == "rerun" and each.get("cause") == "rerun" for each in tenant.audit())
    until_gone(tenant)
    finished(tenant)
    tenant.sync()
    assert applies(tenant) == 2


def test_without_a_record_an_absent_job_waits_for_a_request(tenant: Tenant):
    tenant.deploy({"job.yaml": job(), "other.yaml": job("other", ttl=None)})
    finished(tenant)
    uid = tenant.controlplane.get(tenant.application.path)["metadata"]["uid"]
    agent = tenant.installation.agent
    agent.kill()
    root = f"/api/v1/namespaces/{agent.namespace}/configmaps"
    for each in tenant.controlplane.get(root)["items"]:
        if uid in each["metadata"]["name"]:
            tenant.controlplane.delete(f"{root}/{each['metadata']['name']}")
    agent.start()
    failure = tenant.until_failure(object=f"Job.batch {tenant.namespace}/migrate", reason="Held")
    assert "--rerun" in failure["hint"]
    assert applies(tenant) == 1
