"""Hooks of a chart run before and after its objects, with real controllers that finish Jobs: once for what the release holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from testbed.installation import Installation, Tenant

SECRET = """\
apiVersion: v1
kind: Secret
metadata: {name: db}
stringData: {password: {{ .Values.password | quote }}}
"""


def job(name: str, events: str, policy: str = "", *, account: str = "", fails: bool = False) -> str:
    """A Job that completes, or whose Pod never runs, so that its deadline ends it."""
    annotations = f"helm.sh/hook: '{events}'" + (f", helm.sh/hook-delete-policy: '{policy}'" if policy else "")
    labels = "metadata: {labels: {testbed/never-ready: 'true'}}, " if fails else ""
    user = f"serviceAccountName: {account}, " if account else ""
    pod = f"{user}restartPolicy: Never, containers: [{{name: main, image: 'registry.example/app:1'}}]"
    return (
        f"apiVersion: batch/v1\nkind: Job\nmetadata: {{name: {name}, annotations: {{{annotations}}}}}\n"
        f"spec: {{{'activeDeadlineSeconds: 1, ' if fails else ''}template: {{{labels}spec: {{{pod}}}}}}}\n"
    )


ACCOUNT = """\
apiVersion: v1
kind: ServiceAccount
metadata:
  name: admission
  annotations:
    helm.sh/hook: pre-install,pre-upgrade,post-install,post-upgrade
    helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
"""
FOUR = "before-hook-creation,hook-succeeded"


def ran(tenant: Tenant, name: str) -> int:
    """How often the agent made a hook's Job and saw it complete, by the audit trail."""
    about = f"Job.batch {tenant.namespace}/{name}"
    trail = tenant.installation.agent.audit()
    return sum(
        (each.get("object"), each["phase"], each.get("action"), each.get("result")) == (about, "outcome", "run", "ok")
        for each in trail
    )


def test_hooks_run_once_for_what_the_release_holds_and_a_failed_one_stops_the_sync(
    installation: Installation, tenant: Tenant
) -> None:
    first, second = (installation.canary(f"hooks-{name}") for name in ("a", "b"))
    path = f"apps/{tenant.namespace}-hooks"
    installation.openbao.put(path, {"password": first}, mount=installation.mount)
    files = {
        "chart/Chart.yaml": "apiVersion: v2\nname: shop\nversion: 1.0.0\n",
        "chart/templates/db.yaml": SECRET,
        "chart/templates/migrate.yaml": job("migrate", "pre-install,pre-upgrade"),
        "chart/templates/account.yaml": ACCOUNT,
        "chart/templates/patch.yaml": job("patch", "post-install,post-upgrade", FOUR, account="admission"),
        "chart/templates/seed.yaml": job("seed", "post-install"),
    }
    helm = {"chart": {"path": "chart"}, "values": {"password": f"vault://main/{installation.mount}/{path}#password"}}
    tenant.deploy(files, render={"helm": helm})
    assert tenant.secret("db") == {"password": first}
    assert [ran(tenant, name) for name in ("migrate", "patch", "seed")] == [1, 1, 1]
    assert tenant.get("batch/jobs", "migrate") is not None
    assert (tenant.get("batch/jobs", "patch"), tenant.get("serviceaccounts", "admission")) == (None, None)
    tenant.sync()
    assert [ran(tenant, name) for name in ("migrate", "patch", "seed")] == [1, 1, 1]

    installation.openbao.put(path, {"password": second}, mount=installation.mount)
    tenant.until(lambda _: tenant.secret("db")["password"] == second, "the new password")
    tenant.until(lambda _: ran(tenant, "patch") == 2, "hooks for the new password")
    assert [ran(tenant, name) for name in ("migrate", "patch", "seed")] == [2, 2, 1]

    broken = {"chart/templates/migrate.yaml": job("migrate", "pre-install,pre-upgrade", fails=True)}
    tenant.commit({**broken, "chart/templates/db.yaml": SECRET + "type: Opaque\nimmutable: false\n"})
    tenant.request()
    failure = tenant.until_failure(reason="HookFailed")
    assert "DeadlineExceeded" in failure["message"]
    assert "Job/migrate" in failure["message"]
    assert "immutable" not in tenant.get("secrets", "db")
    assert ran(tenant, "migrate") == 2

    tenant.sync({"chart/templates/migrate.yaml": files["chart/templates/migrate.yaml"]})
    tenant.until_ready()
    assert ran(tenant, "migrate") == 3
    assert tenant.get("secrets", "db")["immutable"] is False
