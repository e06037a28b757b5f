"""What a test waits for is said of the spec as it stands: a status of the one before it does not count."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from testbed.agent import Deployed
from testbed.installation import Tenant


def answer(generation: int, observed: int, *, ready: str = "True", reason: str = "") -> dict[str, Any]:
    failures = [{"reason": reason, "object": "ConfigMap team/a"}] if reason else []
    conditions = [{"type": "Ready", "status": ready}]
    status = {"observedGeneration": observed, "conditions": conditions, "revision": "main@0123", "failures": failures}
    return {"metadata": {"generation": generation}, "status": status}


class Server:
    """Gives one answer after the other, and goes on with the last."""

    def __init__(self, *answers: dict[str, Any] | None) -> None:
        self.answers = [*answers]

    def request(self, _method: str, _path: str) -> tuple[int, Any]:
        found = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return (404, {}) if found is None else (200, found)

    def get(self, _path: str) -> Any:
        return self.request("", "")[1]


def tenant_of(server: Server) -> Tenant:
    made = object.__new__(Tenant)
    made.namespace, made.controlplane = "team", server  # type: ignore[assignment]
    made.application = Deployed(server, "team", "app")  # type: ignore[arg-type]
    made.installation = SimpleNamespace(agent=SimpleNamespace(process=None))  # type: ignore[assignment]
    made.repository = SimpleNamespace(head=lambda: "0123")  # type: ignore[assignment]
    return made


def test_a_status_of_an_earlier_spec_is_not_taken_for_one_of_this() -> None:
    empty = {"metadata": {"generation": 1}}
    statuses = (answer(2, 1), answer(2, 2, ready="False"), answer(2, 2))
    assert tenant_of(Server(empty, *statuses)).until_ready().status == statuses[-1]["status"]
    server = Server(empty, *statuses)
    assert Deployed(server, "team", "app").wait("Ready", "True") == statuses[-1]["status"]  # type: ignore[arg-type]
    found = tenant_of(Server(answer(2, 1, ready="False"), answer(2, 2))).until(lambda report: report.ready, "ready")
    assert found.status["observedGeneration"] == 2


def test_a_failure_is_waited_for_by_what_it_is() -> None:
    server = Server(answer(2, 1, reason="Source"), answer(2, 2, reason="UnknownKind"), answer(2, 2, reason="Source"))
    assert tenant_of(server).until_failure(reason="Source", object="ConfigMap")["reason"] == "Source"
    assert len(server.answers) == 1


def test_an_application_that_is_gone_has_an_empty_status() -> None:
    assert tenant_of(Server(answer(3, 2), None)).until(lambda report: not report.status, "it is gone").status == {}
