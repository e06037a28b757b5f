"""The last steps: what the agent left behind is proven, and searched for every secret of the run."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

from testbed.canary import Canaries
from testbed.demo.show import expect
from testbed.processes import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from testbed.canary import Finding
    from testbed.demo.show import Show, Step
    from testbed.demo.stage import Stage


def play(show: Show, stage: Stage) -> None:
    """The audit trail verifies, and does not once a line is cut out; no secret is found anywhere."""
    anchor = stage.supervisor.folder / "anchor.json"
    with show.step("agent audit verify accepts the audit trail") as step:
        _verify(stage, anchor, step)
    with show.step("with one line removed, it rejects the trail") as step:
        _verify_cut(stage, anchor, step)
    with show.step("everything that the agent emitted is searched for every secret: none found") as step:
        _search(stage, step)


def stop(show: Show, stage: Stage) -> None:
    """The agent ends by SIGTERM and leaves no Lease; the user's cluster is left as it was."""
    with show.step("the agent is stopped: it finishes its work and releases its Lease") as step:
        process = stage.running().process
        assert process is not None
        stage.stop_agent()
        expect(process.returncode == 0, "exit code 0", process.returncode)
        leases = stage.cluster.get(f"/apis/coordination.k8s.io/v1/namespaces/{stage.names.system}/leases")["items"]
        expect(not leases, "no Lease", [lease["metadata"]["name"] for lease in leases])
        step.saw("everything that it applied stays in place")
    if stage.context:
        with show.step(f"namespaces, roles and CRD of the demo are deleted from {stage.context}") as step:
            stage.clean()
            step.saw(", ".join([*stage.names.tenants.values(), stage.names.system]))


def _verify(stage: Stage, anchor: Path, step: Step) -> None:
    agent = stage.running()
    path = f"/api/v1/namespaces/{stage.names.system}/configmaps/signet-audit-{agent.name}"

    def verified() -> str:
        _ = anchor.write_text(json.dumps(stage.cluster.get(path)))
        done = stage.developer.agent("audit", "verify", str(agent.audit_file), "--anchor", str(anchor))
        expect(done.code == 0, f"{done.line} succeeds", done.out + done.err)
        return done.out.strip()

    step.saw(verified())
    actions = {str(record.get("action")) for record in agent.audit()}
    wanted = {"create", "heal", "rotate", "prune"}
    expect(wanted <= actions, f"records of {', '.join(sorted(wanted))}", sorted(actions))
    step.saw(f"it records: {', '.join(sorted(actions))}")


def _verify_cut(stage: Stage, anchor: Path, step: Step) -> None:
    agent = stage.running()
    lines = agent.audit_file.read_bytes().splitlines(keepends=True)
    cut = stage.supervisor.folder / "cut.jsonl"
    _ = cut.write_bytes(b"".join(lines[: len(lines) // 2] + lines[len(lines) // 2 + 1 :]))
    done = stage.developer.agent("audit", "verify", str(cut), "--anchor", str(anchor))
    expect(done.code == 1, "exit code 1", f"{done.code}: {done.out}{done.err}")
    for line in done.out.splitlines():
        step.saw(line)


def _search(stage: Stage, step: Step) -> None:
    agent, cluster, watch = stage.running(), stage.cluster, stage.watch
    assert watch is not None
    kubeconfig = json.loads((agent.folder / "kubeconfig").read_text())
    token: str = kubeconfig["users"][0]["user"]["token"]
    canaries = Canaries({**stage.developer.values, "the agent's token": token})
    _expect_found_where_they_belong(stage, Canaries(stage.developer.values))
    namespaces = [*stage.names.tenants.values(), stage.names.system] if stage.context else []
    _ = wait_until(lambda: watch.seen, 60, "the agent's processes are seen")
    findings: list[Finding] = [
        *canaries.search_text(agent.logs(), "the agent's log"),
        *canaries.search_files(agent.audit_file, agent.folder / "state", agent.memory),
        *(canaries.search_files(stage.recorder.folder) if stage.recorder else ()),
        *canaries.search_text(agent.metrics(), "the agent's metrics"),
        *canaries.search_cluster(cluster, namespaces),
        *watch.search(canaries),
    ]
    assert agent.process is not None
    findings += canaries.search_process(agent.process.pid)
    for name, value in _secret_data(stage, stage.names.system):
        findings += canaries.search_text(value, f"data of Secret {name} of the agent's own namespace")
    expect(not findings, "no secret anywhere", "; ".join(map(str, findings)))
    searched = canaries.searched
    step.saw(
        f"{len(canaries)} values: plain, base64, URL-encoded, JSON-escaped, hex and more, {canaries.forms} forms in all"
    )
    step.saw(
        "logs, audit trail, metrics, the renderer's pipes, events, statuses, ConfigMaps and all other objects but the data of Secrets, the agent's files,"
        f" command line and environment of {watch.processes} processes: {searched.texts} texts, {searched.bytes / 1e6:.1f} MB"
    )


def _expect_found_where_they_belong(stage: Stage, canaries: Canaries) -> None:
    """A search that finds nothing anywhere would prove nothing: in the data of the live Secrets it finds what was applied."""
    found: set[str] = set()
    for namespace in stage.names.tenants.values():
        for _, value in _secret_data(stage, namespace):
            found |= {finding.label for finding in canaries.search_text(value, "data")}
    applied = {label for label in canaries.values if "#" in label and "sops#" not in label}
    rotated = {"vault shop/prod#password"}
    missing = applied - found - rotated
    expect(not missing, "every applied secret in the live Secrets, by the same search", f"none of {sorted(missing)}")


def _secret_data(stage: Stage, namespace: str) -> Iterator[tuple[str, bytes]]:
    for secret in stage.cluster.get(f"/api/v1/namespaces/{namespace}/secrets")["items"]:
        data: dict[str, str] = secret.get("data") or {}
        for value in data.values():
            yield secret["metadata"]["name"], base64.b64decode(value)
