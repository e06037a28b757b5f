"""The agent as a Deployment under Pod Security `restricted`: what it deploys is read by real pods."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workloads import digest, read_by, reader, secret

from testbed.processes import wait_until

if TYPE_CHECKING:
    from testbed.installation import Tenant
    from testbed.node.installation import PodInstallation


def test_pods_read_secrets_of_git_and_of_the_store(installation: PodInstallation, tenant: Tenant) -> None:
    sealed, stored = installation.canary("sealed"), installation.canary("stored")
    path = f"apps/{tenant.namespace}"
    _ = installation.openbao.put(path, {"password": stored}, mount=installation.mount)
    reference = f"vault://main/{installation.mount}/{path}#password"

    _ = tenant.deploy(
        {
            "sealed.yaml": tenant.seal(secret("sealed", password=sealed)),
            "stored.yaml": secret("stored", password=reference),
            "web.yaml": reader("web", sealed="password", stored="password"),
        }
    )
    tenant.controlplane.wait_available(tenant.namespace, "web")

    assert read_by(tenant, "web") == {"sealed": digest(sealed), "stored": digest(stored)}

    rotated = installation.canary("rotated")
    _ = installation.openbao.put(path, {"password": rotated}, mount=installation.mount)

    wanted = {"sealed": digest(sealed), "stored": digest(rotated)}
    _ = wait_until(lambda: read_by(tenant, "web") == wanted, 60, "the pod reads the rotated secret", interval=0.5)
