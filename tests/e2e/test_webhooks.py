"""A push that a webhook reports is applied at once, on real servers: nothing waits for the interval, which is an hour.

GitHub is played by the test; the registry that reports is a real one.
"""

from __future__ import annotations

import hmac
import json
import os
import re
import subprocess
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

import pytest
from manifests_written import config_map

from testbed.agent import ROOT
from testbed.processes import wait_until
from testbed.registry import Registry, archive

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from testbed.installation import Installation, Tenant

SECRET = "webhook-secret-of-a-test"


def deliver(installation: Installation, name: str, tenant: Tenant, secret: str = SECRET) -> int:
    """As GitHub does; the answer's code."""
    repository = {"clone_url": tenant.repository.url, "ssh_url": "git@127.0.0.1:x.git"}
    body = json.dumps({"ref": "refs/heads/main", "repository": repository}).encode()
    signature = hmac.digest(secret.encode(), body, "sha256").hex()
    request = urllib.request.Request(
        f"http://127.0.0.1:{installation.agent.hook_port}/hooks/{name}",
        body,
        {"X-Hub-Signature-256": f"sha256={signature}"},
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


@pytest.fixture
def hooked(installation: Installation, tenant: Tenant, tmp_path: Path) -> Iterator[Tenant]:
    """A tenant that is deployed, a webhook of its own, and one of another tenant's."""
    file = tmp_path / "secret"
    file.write_text(SECRET)
    common = {"sender": "github", "secretFile": str(file)}
    installation.configure(
        webhooks={
            "own": {**common, "namespaces": [tenant.namespace]},
            "other": {**common, "namespaces": ["another-team"]},
        }
    )
    wait_until(lambda: _answers(installation), 60, "the listener")
    # only now, else the engine that the new file begins would run it at its start
    tenant.deploy({"a.yaml": config_map("a", value="1")})
    yield tenant
    installation.configure()
    wait_until(lambda: not _answers(installation), 60, "no listener")


@pytest.fixture
def reporting(installation: Installation, tenant: Tenant, tmp_path: Path) -> Iterator[Registry]:
    """A registry that the operator's file lists, and that notifies the agent of pushes for the tenant."""
    file, authority = tmp_path / "secret", tmp_path / "registry-ca.crt"
    file.write_text(SECRET)
    url = f"http://127.0.0.1:{installation.agent.hook_port}/hooks/registry"
    with Registry(tmp_path / "registry", notify={"url": url, "authorization": f"Bearer {SECRET}"}) as registry:
        authority.write_text(registry.ca_pem)
        installation.configure(
            oci={"allowedHosts": [registry.host], "caFile": str(authority)},
            webhooks={
                "registry": {"sender": "registry", "secretFile": str(file), "namespaces": [tenant.namespace]},
            },
        )
        wait_until(lambda: _answers(installation), 60, "the listener")
        yield registry
    installation.configure()
    wait_until(lambda: not _answers(installation), 60, "no listener")


def _answers(installation: Installation) -> bool:
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{installation.agent.hook_port}/", timeout=5)
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


def test_a_push_is_applied_when_a_proven_webhook_reports_it(installation: Installation, hooked: Tenant):
    runs = list(hooked.application.status().get("history", []))  # type: ignore[call-overload]
    commit = hooked.commit({"a.yaml": config_map("a", value="2")})
    assert deliver(installation, "own", hooked, "a wrong secret of a test") == 404
    assert deliver(installation, "none", hooked) == 404
    assert deliver(installation, "other", hooked) == 202, "it may start no Application of this namespace"
    assert deliver(installation, "own", hooked) == 202
    report = hooked.until(lambda report: f"@{commit[:12]}" in str(report.status.get("revision")), "applied")
    assert hooked.data("a") == {"value": "2"}
    history = report.status["history"]
    assert len(history) == len(runs) + 1
    assert history[0]["cause"].partition(":")[0] == "git+push"


def test_a_version_is_applied_when_its_registry_reports_it(reporting: Registry, tenant: Tenant) -> None:
    repository = f"{tenant.namespace}/deploy"
    reporting.push(repository, archive({"a.yaml": config_map("a", value="1")}), "1.0.0")
    tenant.put_secret("registry", {".dockerconfigjson": reporting.docker_config()})
    source = {
        "oci": {
            "url": reporting.url(repository),
            "semver": ">=1.0.0 <2.0.0",
            "credentials": {"secretName": "registry"},
        }
    }
    tenant.application.apply({"source": source, "interval": "1h"})
    tenant.until(lambda report: report.ready, "the first version")
    digest = reporting.push(repository, archive({"a.yaml": config_map("a", value="2")}), "1.1.0")
    report = tenant.until(lambda report: f"@{digest[:19]}" in str(report.status.get("revision")), "applied")
    assert tenant.data("a") == {"value": "2"}
    assert report.status["history"][0]["cause"].partition(":")[0] == "git+push"


def test_the_steps_of_the_documentation_prove_a_push(installation: Installation, hooked: Tenant, tmp_path: Path):
    """Only the addresses, which are others here, and the secret's file are replaced."""
    section = (ROOT / "docs/operations.md").read_text().split("### Webhooks\n")[1].split("\n## ")[0]
    (tmp_path / "webhook-shop").write_text(SECRET)
    (steps,) = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)[-1:]
    for printed, ours in {
        "https://hooks.example.com": f"http://127.0.0.1:{installation.agent.hook_port}",
        "https://git.example.com/shop/deploy.git": hooked.repository.url,
        "/hooks/shop": "/hooks/own",
        "X-Signature": "X-Hub-Signature-256",
    }.items():
        assert printed in steps
        steps = steps.replace(printed, ours)
    hooked.commit({"a.yaml": config_map("a", value="3")})
    done = subprocess.run(
        ["bash", "-e", "-c", steps], cwd=tmp_path, env=dict(os.environ), capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "ok"
    wait_until(lambda: hooked.data("a") == {"value": "3"}, 60, "applied")
