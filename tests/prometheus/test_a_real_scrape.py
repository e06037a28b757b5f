"""A real Prometheus scrapes a real agent: every panel of the dashboard finds data, and the alerts see what is wrong with an Application."""

from __future__ import annotations

import json
import re
import urllib.parse
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from testbed.controlplane import ControlPlane
from testbed.installation import Installation
from testbed.processes import Supervisor, free_port, wait_until

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from testbed.gitserver import GitServer
    from testbed.openbao import OpenBao

DEPLOY = Path(__file__).parents[2] / "deploy"


class Prometheus:
    """It scrapes one agent every second, with the labels that the Prometheus operator gives a Pod."""

    def __init__(self, supervisor: Supervisor, agent_port: int) -> None:
        self.url = f"http://127.0.0.1:{free_port()}"
        target = {"targets": [f"127.0.0.1:{agent_port}"], "labels": {"namespace": "signet-system"}}
        config = supervisor.folder / "prometheus.yaml"
        scraped = {"job_name": "signet-agent", "honor_labels": True, "static_configs": [target]}
        timing = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        written = {"global": timing, "rule_files": [str(DEPLOY / "alerts.yaml")], "scrape_configs": [scraped]}
        config.write_text(yaml.safe_dump(written))
        words = ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={supervisor.folder / 'data'}"]
        address = self.url.removeprefix("http://")
        process = supervisor.start("prometheus", [*words, f"--web.listen-address={address}"])
        process.wait_ready(lambda: self.asked("query", query="up == 1"), 60)

    def asked(self, path: str, **parameters: str) -> list[dict[str, Any]]:
        """What its API gives; nothing while it does not answer."""
        try:
            with urllib.request.urlopen(f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}") as answer:
                data = json.load(answer)["data"]
        except OSError:
            return []
        return data["result"] if "result" in data else data["alerts"]

    def numbers(self, expression: str) -> list[dict[str, Any]]:
        """Results of a query that are numbers: quantiles of nothing are none."""
        return [each for each in self.asked("query", query=expression) if each["value"][1] != "NaN"]

    def has_data(self, panels: Mapping[str, str]) -> None:
        for title, expression in panels.items():
            wait_until(lambda expression=expression: self.numbers(expression), 60, f"{title} has data")


@pytest.fixture
def installation(gitserver: GitServer, openbao: OpenBao) -> Generator[Installation]:
    with ControlPlane() as controlplane, Installation(controlplane, gitserver, openbao) as running:
        running.start()
        yield running


def manifest(kind: str, name: str, **fields: object) -> str:
    return json.dumps({"apiVersion": "v1", "kind": kind, "metadata": {"name": name}, **fields})


def stuck(name: str) -> str:
    """A Job of an early wave whose pod no node takes."""
    container = {"name": "a", "image": "a"}
    pod = {"containers": [container], "restartPolicy": "Never", "nodeSelector": {"of": "no-node"}}
    metadata = {"name": name, "annotations": {"signet-gitops.dev/wave": "-5"}}
    return json.dumps(
        {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": {"template": {"spec": pod}}}
    )


def queries() -> dict[str, str]:
    """Every query of the dashboard, with all Applications chosen, by panel and legend."""
    dashboard = json.loads((DEPLOY / "dashboard.json").read_text())
    variables = {"$namespace": ".*", "$application": ".*", "$__rate_interval": "5m"}
    found: dict[str, str] = {}
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            expression = re.sub("|".join(map(re.escape, variables)), lambda match: variables[match[0]], target["expr"])
            assert "$" not in expression
            found[f"{panel['title']} ({target['legendFormat']})"] = expression
    return found


def test_every_panel_has_data_and_the_alerts_see_the_application(installation: Installation):
    """Also that no secret value is among the series."""
    tenant = installation.tenant()
    value = installation.canary("scraped")
    with Supervisor() as supervisor:
        prometheus = Prometheus(supervisor, installation.agent.port)
        reference = f"vault://main/{installation.mount}/apps/{tenant.namespace}#password"
        installation.openbao.put(f"apps/{tenant.namespace}", {"password": value}, mount=installation.mount)
        files = {
            "settings.yaml": manifest("ConfigMap", "settings", data={"a": "1"}),
            "db.yaml": manifest("Secret", "db", stringData={"password": reference}),
        }
        tenant.deploy(files, interval="10s")

        def synced() -> float:
            found = prometheus.asked("query", query="signet_last_sync_timestamp_seconds")
            return float(found[0]["value"][1]) if found else 0.0

        first = wait_until(synced, 60, "a first sync is scraped")
        wait_until(lambda: synced() > first, 60, "an Application without a new commit is in sync again")

        _ = tenant.controlplane.merge(tenant.path("configmaps", "settings"), {"data": {"a": "2"}})
        wait_until(lambda: tenant.data("settings") == {"a": "1"}, 60, "the edit is undone")
        missing = reference.replace("#password", "#missing")
        tenant.sync(files | {"other.yaml": manifest("Secret", "other", stringData={"password": missing})})

        mine = {"namespace": tenant.namespace, "application": tenant.application.name, "reason": "StoreNotFound"}

        def of_what_is_held() -> list[dict[str, Any]]:
            return [each for each in prometheus.asked("alerts") if each["labels"]["alertname"] == "SignetObjectsHeld"]

        (held,) = wait_until(of_what_is_held, 60, "an alert")
        assert mine.items() <= held["labels"].items()
        assert held["annotations"]["summary"].startswith(f"Application {tenant.namespace}/{tenant.application.name} ")

        # it is suspended meanwhile, so that the panel of what waits has data
        tenant.configure(interval="10s", suspend=True)
        panels = queries()
        of_a_run = {title: panels.pop(title) for title in list(panels) if "under way" in title}
        of_a_refusal = {title: panels.pop(title) for title in list(panels) if "cannot be run" in title}
        prometheus.has_data(panels)
        wait_until(lambda: not prometheus.asked("alerts"), 60, "no alert about a suspended Application")
        tenant.configure(interval="10s")
        wait_until(lambda: not prometheus.asked("query", query="signet_waits"), 60, "it waits for nothing any more")

        tenant.commit({"slow.yaml": stuck("slow"), "later.yaml": manifest("ConfigMap", "later", data={})})
        tenant.configure(interval="10s", sync={"timeout": "20s"})
        prometheus.has_data(of_a_run)
        tenant.configure(source=tenant.source("base", "base"))
        prometheus.has_data(of_a_refusal)
        assert len(of_a_run) == len(of_a_refusal) == 1

        series = json.dumps(prometheus.asked("query", query='{__name__=~".+"}'))
        assert "signet_held_objects" in series
        assert not [name for name, secret in installation.canaries.items() if secret in series]
