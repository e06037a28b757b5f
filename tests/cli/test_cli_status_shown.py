"""What `agent status NAME` shows of a status: health in a word, each object, releases and heals apart."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from agent.cli.cluster import reports

if TYPE_CHECKING:
    from agent.values.tree import Object


def sync(cause: str, subject: str) -> Object:
    entry: Object = {"revision": "main@1f0c3b2a9d4e", "result": "succeeded", "cause": cause, "author": "Ada <a@b.c>"}
    return {**entry, "startedAt": "2026-01-01T00:00:00Z", "finishedAt": "2026-01-01T00:00:01Z", "subject": subject}


def report(health: str = "Degraded", **status: object) -> reports.Report:
    made = (datetime.now(UTC) - timedelta(hours=5)).isoformat()
    found: Object = {
        "conditions": [{"type": "Healthy", "status": "True" if health == "Healthy" else "False", "reason": health}],
        "counts": {"total": 5},
        "revision": "main@1f0c3b2a9d4e",
        "checkedRevision": "main@222222222222",
        "objects": [
            {"object": "Secret shop/db", "health": "Degraded", "sync": "Held", "file": "db.yaml", "message": "no"},
            {"object": "ConfigMap shop/a", "health": "Healthy", "sync": "Synced", "file": "a.yaml", "createdAt": made},
        ],
        "history": [sync("git+request", "Change the colour")],
        "heals": [sync("live", "Change the colour")],
        **status,
    }
    return reports.Report({"metadata": {"namespace": "shop", "name": "web"}, "status": found})


def test_every_object_is_a_line_and_what_needs_attention_comes_first(capsys: pytest.CaptureFixture[str]) -> None:
    reports.details(report())
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    at = lines.index(["OBJECT", "AGE", "HEALTH", "SYNC", "FILE"])
    assert lines[at + 1 : at + 4] == [
        ["Secret", "shop/db", "Degraded", "Held", "db.yaml"],
        ["ConfigMap", "shop/a", "5h", "Healthy", "Synced", "a.yaml"],
        ["and", "3", "more,", "which", "are", "no", "worse"],
    ]


def test_releases_and_heals_are_apart(capsys: pytest.CaptureFixture[str]) -> None:
    reports.details(report())
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    for title, cause in (("RELEASE", "git+request"), ("HEAL", "live")):
        at = lines.index([title, "FINISHED", "RESULT", "CAUSE", "AUTHOR", "SUBJECT"])
        row = [
            "main@1f0c3b2a9d4e",
            "2026-01-01T00:00:01Z",
            "succeeded",
            cause,
            "Ada",
            "<a@b.c>",
            "Change",
            "the",
            "colour",
        ]
        assert lines[at + 1] == row


@pytest.mark.parametrize(
    ("health", "shown"), [("Healthy", "True"), ("Progressing", "Progressing"), ("Degraded", "Degraded")]
)
def test_the_short_view_has_health_in_a_word_and_the_commit_looked_at(
    health: str, shown: str, capsys: pytest.CaptureFixture[str]
) -> None:
    reports.table([report(health)])
    _, row = capsys.readouterr().out.splitlines()
    assert row.split()[:7] == ["shop", "web", "Unknown", shown, "Unknown", "main@1f0c3b2a9d4e", "main@222222222222"]


def test_an_earlier_status_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    reports.details(reports.Report({"metadata": {"namespace": "shop", "name": "web"}}))
    assert "OBJECT " not in capsys.readouterr().out


def test_notes_of_a_chart_cannot_pass_for_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    reports.notes(report(notes="Log in\x1b[2J\nagent: all is well\r\n\u202eend"))
    assert capsys.readouterr().out.splitlines() == [
        "the chart of shop/web says, which is not checked:",
        "  | Log in\\x1b[2J",
        "  | agent: all is well",
        "  | \\u202eend",
    ]


def test_an_application_without_notes_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    reports.notes(report())
    found = capsys.readouterr()
    assert (found.out, "no notes" in found.err) == ("", True)
