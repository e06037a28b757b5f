"""Applications of one repository on real servers: the Git server is asked once for all of them, and each hears of the commit.

Those that it leaves are written to no more than the Git server is asked: their status names it when there is something to say, or when it is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import runs_ended
from manifests_written import config_map

if TYPE_CHECKING:
    from testbed.installation import Installation, Tenant

COUNT = 8


def version(tenant: Tenant) -> str:
    """Of the Application as it is stored: any write is another."""
    return str(tenant.controlplane.get(tenant.application.path)["metadata"]["resourceVersion"])


def test_a_commit_reaches_all_applications_by_one_question_and_one_fetch(installation: Installation, tenant: Tenant):
    applications = [tenant.second(f"app-{number}") for number in range(COUNT)]
    tenant.commit({f"apps/{number}/a.yaml": config_map(f"a-{number}", value="1") for number in range(COUNT)})
    for number, each in enumerate(applications):
        each.configure(source=tenant.source(f"apps/{number}"))

    def all_at(commit: str, *those: Tenant) -> None:
        for each in those:
            each.until(
                lambda report: report.ready and f"@{commit[:12]}" in str(report.status.get("checkedRevision")), commit
            )

    first = tenant.repository.head()
    all_at(first, *applications)
    touched, asked, *left = applications[0], applications[3], *applications[1:3], *applications[4:]
    since = runs_ended.at_rest(applications)
    versions = [version(each) for each in left]
    installation.gitserver.requests.clear()
    second = tenant.commit({"apps/0/a.yaml": config_map("a-0", value="2")})
    audited = len(tenant.audit())
    # one of those that the commit does not touch asks; the interval of all is an hour
    asked.request()
    all_at(second, touched, asked)
    runs_ended.wait_for_all(applications, since)
    assert tenant.data("a-0") == {"value": "2"}
    name = tenant.repository.url.rpartition("/")[2]
    requests = [each for each in installation.gitserver.requests if each.user and each.path == f"/{name}/info/refs"]
    assert len(requests) == 2
    written = {each.get("object") for each in tenant.audit()[audited:] if each.get("phase") == "outcome"}
    assert written == {f"ConfigMap {tenant.namespace}/a-0"}
    assert [version(each) for each in left] == versions, "no status was written"
    for each in left:
        report = each.sync()
        assert f"@{second[:12]}" in report.status["checkedRevision"]
        assert f"@{first[:12]}" in report.status["revision"]
        assert [entry["revision"] for entry in report.status["history"]] == [report.status["revision"]]
