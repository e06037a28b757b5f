"""The judge finds each fault of a hand-over in what the API server wrote down, and none in a clean one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from bench.handover import calls, judge
from bench.handover.calls import Call

if TYPE_CHECKING:
    from pathlib import Path

COMMITS = (
    {},
    {"configmaps/a": 1, "configmaps/b": 1},
    {"configmaps/a": 2, "configmaps/b": 1, "configmaps/c": 2},
    {"configmaps/a": 3, "configmaps/b": 1},
    {"configmaps/a": 4, "configmaps/b": 1, "configmaps/c": 4},
)


def write(name: str, number: int, at: float, *, agent: str = "agent-0", uid: str = "", version: int = 0) -> Call:
    """A write that takes a tenth of a second; versions follow the time unless they are given."""
    version = version or round(at * 10)
    return Call(agent, "patch", "configmaps", "team", name, 200, at, at + 0.1, uid or f"{name}-1", version, number)


def delete(name: str, at: float, *, agent: str = "agent-0", uid: str = "", code: int = 200) -> Call:
    return Call(agent, "delete", "configmaps", "team", name, code, at, at + 0.1, uid or f"{name}-1")


FIRST = (write("a", 1, 1), write("b", 1, 1.2))
SECOND = (*FIRST, write("a", 2, 2), write("c", 2, 2.2))
THIRD = (*SECOND, write("a", 3, 3), delete("c", 3.5))
FOURTH = (*THIRD, write("a", 4, 4), write("c", 4, 4.2, uid="c-2"))


@pytest.mark.parametrize("history", [(), FIRST, SECOND, THIRD, FOURTH])
def test_commits_that_are_applied_one_after_another_are_no_fault(history):
    assert judge.judge(history, {"team": COMMITS}) == []
    assert judge.late_writes(history, {"team": COMMITS}) == 0


@pytest.mark.parametrize(
    ("history", "found"),
    [
        pytest.param((*SECOND, write("a", 1, 5, agent="agent-1")), ["older write"], id="reverted"),
        pytest.param(
            (*SECOND, write("a", 1, 5), write("a", 2, 6), write("a", 1, 7)), ["older write"] * 2, id="a fight"
        ),
        pytest.param((*THIRD, write("a", 1, 5), write("a", 2, 6)), ["older write"] * 2, id="reverted step by step"),
        pytest.param((*SECOND, delete("c", 5, agent="agent-1")), ["wrong delete"], id="deleted what was added"),
        pytest.param((*SECOND, delete("b", 5), write("b", 1, 6, uid="b-2")), ["wrong delete"], id="and put right"),
        pytest.param((*THIRD, write("c", 2, 5, uid="c-2")), ["older write"], id="brought back"),
        pytest.param((*FOURTH, delete("c", 5, uid="c-2")), ["wrong delete"], id="deleted by an old reason"),
        pytest.param((*FOURTH, write("c", 2, 5, uid="c-2")), ["older write"], id="an older life of an object"),
    ],
)
def test_faults_are_found(history, found):
    assert [fault.kind for fault in judge.judge(history, {"team": COMMITS})] == found
    assert judge.judge(history, {"team": COMMITS}, since=8) == []


@pytest.mark.parametrize(
    "more",
    [
        pytest.param(write("a", 1, 5, version=20), id="a write that changed nothing"),
        pytest.param(write("a", 2, 5), id="a heal of the same commit"),
        pytest.param(write("a", 1, 1.5), id="an older write that came first"),
        pytest.param(write("a", 1, 5, agent=""), id="a write of another client"),
        pytest.param(delete("c", 5, agent=""), id="a delete of another client"),
        pytest.param(delete("c", 5, code=409), id="a delete that was refused"),
        pytest.param(delete("b", 0.5), id="a delete before anything was applied"),
    ],
)
def test_what_is_no_fault(more):
    assert judge.judge((*SECOND, more), {"team": COMMITS}) == []


def test_a_delete_that_was_sent_before_the_newer_commit_was_applied_is_judged_by_the_older_one():
    assert judge.judge((*THIRD[:-1], delete("c", 3.05)), {"team": COMMITS[:4]})
    assert judge.judge((*THIRD[:-1], delete("c", 3.1001)), {"team": COMMITS[:4]}) == []


def test_versions_and_not_times_order_the_writes_of_an_object():
    answered_late = Call("agent-1", "patch", "configmaps", "team", "a", 200, 1.9, 2.5, "a-1", 19, 1)
    assert judge.judge((*SECOND, answered_late), {"team": COMMITS}) == []
    answered_early = Call("agent-1", "patch", "configmaps", "team", "a", 200, 1.9, 1.95, "a-1", 21, 1)
    assert judge.judge((*SECOND, answered_early), {"team": COMMITS})


def test_a_write_of_what_was_replaced_elsewhere_is_late_and_no_fault():
    assert judge.late_writes((*FIRST, write("c", 2, 2), write("a", 1, 2.5)), {"team": COMMITS}) == 1
    assert judge.judge((*FIRST, write("c", 2, 2), write("a", 1, 2.5)), {"team": COMMITS}) == []


def test_lost_commits_are_found_object_by_object():
    faults = judge.lost("team", {"configmaps/a": 3, "configmaps/b": 1, "configmaps/d": 2}, COMMITS[4])
    assert [str(fault) for fault in faults] == [
        "lost commit: team/configmaps/a: stands as of commit 3 instead of 4",
        "lost commit: team/configmaps/c: is not there",
        "lost commit: team/configmaps/d: is there still",
    ]
    assert judge.lost("team", COMMITS[4], COMMITS[4]) == []


def test_each_application_has_one_owner():
    found, faults = judge.owners(["x", "y", "z"], {"agent-0": ["x", "y"], "agent-1": ["y"]})
    assert found == {"x": "agent-0"}
    assert [str(fault) for fault in faults] == ["owner: y: shown by agent-0 and agent-1", "owner: z: shown by no agent"]


def test_other_writers_than_the_owner_are_found():
    history = (*SECOND, write("a", 2, 6, agent="agent-1"))
    [fault] = judge.other_writers(history, {"team": "agent-0"}, since=0)
    assert str(fault) == "owner: team: written by agent-1, is agent-0's"
    assert judge.other_writers(history, {"team": "agent-0"}, since=6.5) == []
    status = Call("agent-1", "patch", "applications/status", "team", "app", 200, 7, 7.1)
    assert judge.other_writers((status,), {"team": "agent-0"}, since=0)


COMMIT = "0123456789abcdef"
GOOD = {"conditions": [{"type": "Ready", "status": "True"}], "revision": "main@0123456789ab"}
FULL = {**GOOD, "agent": "agent-0", "epoch": 3, "since": "2026-01-01T00:00:00Z"}


@pytest.mark.parametrize(
    ("status", "owner", "found"),
    [
        (GOOD, "", 0),
        (FULL, "agent-0", 0),
        ({}, "", 2),
        ({**GOOD, "revision": "main@ffffffffffff"}, "", 1),
        ({**GOOD, "conditions": [{"type": "Ready", "status": "False", "reason": "SourceUnavailable"}]}, "", 1),
        ({**GOOD, "revision": "main@ffffffffffff", "checkedRevision": "main@0123456789ab"}, "", 0),
        (FULL, "agent-1", 1),
        (GOOD, "agent-0", 2),
        ({**FULL, "epoch": "3"}, "agent-0", 1),
    ],
)
def test_a_status_that_is_not_so_is_found(status, owner, found):
    assert len(judge.stale_status("team", status, COMMIT, owner=owner)) == found


def test_a_condition_is_said_where_it_is_true():
    assert judge.says(GOOD, "Ready")
    assert not judge.says(GOOD, "RecordLost")
    assert not judge.says({"conditions": [{"type": "Ready", "status": "False"}]}, "Ready")
    assert not judge.says({}, "Ready")


def test_who_wrote_last_is_known():
    others = (delete("c", 5, agent="agent-1", code=409), write("a", 2, 6, agent=""))
    assert judge.writers((*SECOND, *others)) == {"team": "agent-0"}
    assert judge.writers((*SECOND, delete("c", 5, agent="agent-1"))) == {"team": "agent-1"}


def test_hand_over_is_measured_to_the_first_word_of_another_agent():
    history = (*SECOND, write("a", 2, 14, agent="agent-1"), write("a", 2, 19, agent="agent-2"))
    assert judge.taken_over(history, {"team": "agent-0", "other": "agent-0"}, since=4) == {"team": pytest.approx(10.1)}


def event(**more: object) -> dict[str, object]:
    return {
        "kind": "Event",
        "stage": "ResponseComplete",
        "requestURI": "/api/v1/namespaces/team/configmaps/a?fieldManager=signet",
        "verb": "patch",
        "user": {
            "username": "system:serviceaccount:signet-system:signet-agent",
            "extra": {"authentication.kubernetes.io/credential-id": ["JTI=1"]},
        },
        "impersonatedUser": {"username": "system:serviceaccount:team:signet-applier"},
        "objectRef": {"resource": "configmaps", "namespace": "team", "name": "a", "apiVersion": "v1"},
        "responseStatus": {"code": 200},
        "responseObject": {
            "kind": "ConfigMap",
            "metadata": {"name": "a", "uid": "u", "resourceVersion": "7", "annotations": {"handover/commit": "2"}},
        },
        "requestReceivedTimestamp": "2026-01-01T00:00:00.000000Z",
        "stageTimestamp": "2026-01-01T00:00:00.250000Z",
        **more,
    }


def agent_of(credential: str) -> str:
    return {"JTI=1": "agent-0"}.get(credential, "")


def test_a_write_is_read_from_its_audit_event():
    call = calls.parse(event(), agent_of)
    begun = 1767225600.0
    assert call == Call("agent-0", "patch", "configmaps", "team", "a", 200, begun, begun + 0.25, "u", 7, 2)
    assert judge.is_write(call)


def test_a_deletion_and_a_status_are_read_from_their_audit_events():
    answer = {"kind": "Status", "status": "Success", "details": {"name": "a", "kind": "configmaps", "uid": "u"}}
    call = calls.parse(event(verb="delete", responseObject=answer), agent_of)
    assert (call.uid, call.version, judge.is_delete(call)) == ("u", 0, True)
    reference = {"resource": "applications", "subresource": "status", "namespace": "team", "name": "app"}
    patch = [{"op": "test", "path": "/metadata/uid", "value": "u"}, {"op": "add", "path": "/status", "value": GOOD}]
    call = calls.parse(event(objectRef=reference, requestObject=patch, responseObject=None), agent_of)
    assert (call.resource, call.status) == ("applications/status", GOOD)


@pytest.mark.parametrize(
    "more",
    [
        {"stage": "RequestReceived"},
        {"objectRef": None},
        {"requestURI": "/api/v1/namespaces/team/configmaps/a?dryRun=All&fieldManager=signet"},
    ],
)
def test_what_is_no_call_is_left_out(more):
    assert calls.parse(event(**more), agent_of) is None


def test_the_log_is_read_as_it_grows_and_knows_agents_that_started_later(tmp_path: Path):
    file, agents = tmp_path / "audit.jsonl", {}
    other = event(user={"username": "admin"})
    text = json.dumps(event())
    file.write_text(json.dumps(other) + "\n" + text[:50])
    log = calls.Log(file, lambda: agents)
    assert [call.agent for call in log.read()] == [""]
    agents["JTI=1"] = "agent-0"
    file.write_text(json.dumps(other) + "\n" + text + "\n")
    assert [call.agent for call in log.read()] == ["", "agent-0"]
