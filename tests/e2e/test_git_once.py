"""Applications of one repository on real servers: the Git server is asked once for all of them, and each hears of the commit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from manifests_written import config_map

if TYPE_CHECKING:
    from testbed.installation import Installation, Tenant

COUNT = 8


def test_a_commit_reaches_all_applications_by_one_question_and_one_fetch(installation: Installation, tenant: Tenant):
    applications = [tenant.second(f"app-{number}") for number in range(COUNT)]
    tenant.commit({f"apps/{number}/a.yaml": config_map(f"a-{number}", value="1") for number in range(COUNT)})
    for number, each in enumerate(applications):
        each.configure(source=tenant.source(f"apps/{number}"))

    def all_at(commit: str) -> None:
        for each in applications:
            each.until(
                lambda report: report.ready and f"@{commit[:12]}" in str(report.status.get("checkedRevision")), commit
            )

    all_at(tenant.repository.head())
    installation.gitserver.requests.clear()
    second = tenant.commit({"apps/0/a.yaml": config_map("a-0", value="2")})
    audited = len(installation.agent.audit())
    # one of those that the commit does not touch asks; the interval of all is an hour
    applications[3].request()
    all_at(second)
    assert tenant.data("a-0") == {"value": "2"}
    name = tenant.repository.url.rpartition("/")[2]
    asked = [each for each in installation.gitserver.requests if each.user and each.path == f"/{name}/info/refs"]
    assert len(asked) == 2
    written = {each.get("object") for each in installation.agent.audit()[audited:] if each.get("phase") == "outcome"}
    assert {each for each in written if tenant.namespace in str(each)} == {f"ConfigMap {tenant.namespace}/a-0"}
