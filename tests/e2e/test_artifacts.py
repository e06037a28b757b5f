"""An Application that follows an artifact of a registry: as the documentation sets it up, with a Secret inside, through a new version."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from manifests_written import config_map, secret

from testbed import binaries
from testbed.agent import ROOT
from testbed.registry import archive

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed.installation import Installation, Report, Tenant
    from testbed.registry import Registry


@pytest.fixture
def allowed(installation: Installation, registry: Registry, tmp_path: Path) -> Iterator[None]:
    """The operator's file lists the registry, and trusts the authority of its certificate."""
    authority = tmp_path / "registry-ca.crt"
    authority.write_text(registry.ca_pem)
    hosts = [urlsplit(installation.gitserver.url).netloc]
    installation.configure(git={"allowedHosts": hosts}, oci={"allowedHosts": [registry.host], "caFile": str(authority)})
    installation.canaries["registry"] = registry.password
    yield
    installation.configure()


def until_ready(tenant: Tenant, tag: str, digest: str) -> Report:
    wanted = f"{tag}@{digest[:19]}"
    return tenant.until(lambda report: report.ready and report.status.get("revision") == wanted, f"ready at {wanted}")


@pytest.mark.usefixtures("allowed")
def test_the_steps_of_the_documentation_lead_to_an_application_that_follows_versions(
    tenant: Tenant, registry: Registry, tmp_path: Path
) -> None:
    """Only the name of the host and the namespace are replaced."""
    repository = f"{tenant.namespace}/deploy"
    value = tenant.installation.canary("artifact")
    files = {"settings.yaml": config_map("settings", value="1"), "db.yaml": tenant.seal(secret("db", password=value))}
    first = registry.push(repository, archive(files), "1.3.9", "1.4.0")
    registry.push(repository, archive({}), "2.0.0", "latest")

    section = (ROOT / "docs/operations.md").read_text().split("### Artifacts of a registry\n")[1].split("\n##")[0]
    steps = "\n".join(re.findall(r"```sh\n(.*?)```", section, re.DOTALL))
    replaced = {
        "registry.example.com/shop/": f"{registry.host}/{tenant.namespace}/",
        "registry.example.com": registry.host,
        "-n shop": f"-n {tenant.namespace}",
        "namespace: shop": f"namespace: {tenant.namespace}",
        "name: shop,": f"name: {tenant.application.name},",
    }
    for printed, ours in replaced.items():
        assert printed in steps
        steps = steps.replace(printed, ours)
    programs = f"{Path(sys.executable).parent}:{binaries.path('kubectl').parent}"
    subprocess.run(
        ["bash", "-e", "-c", steps],
        env={
            **os.environ,
            "PATH": f"{programs}:{os.environ['PATH']}",
            "PASSWORD": registry.password,
            "KUBECONFIG": str(tenant.controlplane.kubeconfig(tmp_path / "kubeconfig")),
        },
        stdout=subprocess.DEVNULL,
        check=True,
    )
    source = tenant.controlplane.get(tenant.application.path)["spec"]["source"]
    tenant.configure(source=source)  # with the tenant's key
    until_ready(tenant, "1.4.0", first)
    assert (tenant.data("settings"), tenant.secret("db")) == ({"value": "1"}, {"password": value})

    second = registry.push(repository, archive({**files, "settings.yaml": config_map("settings", value="2")}), "v1.5.0")
    tenant.request()
    until_ready(tenant, "v1.5.0", second)
    assert tenant.data("settings") == {"value": "2"}

    # a refused login changes nothing
    wrong = json.dumps({"auths": {registry.host: {"username": "puller", "password": "wrong"}}})
    tenant.controlplane.delete(tenant.path("secrets", "registry"))
    tenant.put_secret("registry", {".dockerconfigjson": wrong})
    tenant.configure(source=source, prune=False)
    message = tenant.until_failure(reason="Source")["message"]
    assert "the registry refuses the credential" in message
    assert f"credentials Secret {tenant.namespace}/registry" in message
    assert tenant.data("settings") == {"value": "2"}
