"""`agent audit` as a user runs it."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from agent.adapters.audit import credential, record, trail
from agent.engine.ports import AuditEntry
from agent.values.ids import ApplicationId, ObjectId, Revision
from agent.values.secret import Secret

if TYPE_CHECKING:
    from pathlib import Path

    from agent.adapters.audit.anchor import Anchor

SIGNER = credential.Signer(Secret(b"c" * 32, "test:audit"))
ENTRY = AuditEntry(
    phase="outcome",
    run="run-1",
    cause="git",
    application=ApplicationId("shop", "web", "uid-1"),
    revision=Revision("c" * 40, "main", "Dev\x1b[2J", 0),
    action="apply",
    object=ObjectId("", "Secret", "shop", "db"),
    fields=("data.password",),
    secrets=("sops:db.yaml#password",),
    result="succeeded",
)


def agent(*arguments: object, stdin: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "agent.cli.main", *map(str, arguments)]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture
def written(tmp_path: Path) -> tuple[Path, str]:
    """An audit file and its anchor as `kubectl get -o json` prints it."""
    anchors: list[Anchor] = []

    async def keep(anchor: Anchor) -> None:
        anchors.append(anchor)

    async def write() -> None:
        audit = await trail.open_trail(
            agent="agent-0", signer=SIGNER, clock=lambda: 0.0, keep=keep, file=path, stream=None, anchor=None
        )
        await audit.write([ENTRY, replace(ENTRY, application=ApplicationId("shop", "api", "uid-2"), run="run-2")])
        await audit.checkpoint("run-1")
        await audit.write([replace(ENTRY, object=ObjectId("apps", "Deployment", "shop", "web"))])
        await audit.close()

    path = tmp_path / "audit.jsonl"
    asyncio.run(write())
    return path, json.dumps(anchors[-1].config_map("signet-system"))


def test_verified_file_says_how_far_it_is_proven(written: tuple[Path, str]):
    path, anchor = written
    result = agent("audit", "verify", path, "--anchor", "-", stdin=anchor)
    assert (result.returncode, result.stdout) == (0, "verified: 5 records, 1 signed checkpoint, proven to record 4\n")
    assert "1 record after that" in result.stderr
    assert "--anchor" not in result.stderr


def test_file_with_a_line_cut_out_is_not_verified(written: tuple[Path, str]):
    path, anchor = written
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:2] + lines[3:]))
    result = agent("audit", "verify", path, "--anchor", "-", stdin=anchor)
    assert result.returncode == 1
    assert "removal" in result.stdout
    assert "not verified" in result.stdout


def test_report_for_programs(written: tuple[Path, str], tmp_path: Path):
    path, anchor = written
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:3]))
    (tmp_path / "anchor.json").write_text(anchor)
    result = agent("audit", "verify", path, "--anchor", tmp_path / "anchor.json", "-o", "json")
    report = json.loads(result.stdout)
    assert result.returncode == 1
    assert report["verified"] is False
    assert [(f["kind"], f["first"], f["last"]) for f in report["findings"]] == [("cut", 4, 4)]


def test_public_key_alone_verifies_and_warns_of_the_tail(written: tuple[Path, str], tmp_path: Path):
    path, _ = written
    (tmp_path / "audit.pub").write_text(SIGNER.public_pem)
    result = agent("audit", "verify", path, "--public-key", tmp_path / "audit.pub")
    assert result.returncode == 0
    assert "without --anchor" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "stdin", "message"),
    [
        ([], "", "nothing to verify against"),
        (["--anchor", "-"], "{", "the anchor is not JSON"),
        (["--anchor", "-"], '{"kind":"ConfigMap"}', "not an anchor"),
        (["--anchor", "/nonexistent"], "", "cannot be read"),
        (["--public-key", "-"], "nonsense", "no public key in PEM"),
        (["--public-key", "-"], "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "not a public key"),
    ],
)
def test_what_cannot_be_tried_exits_2(written: tuple[Path, str], arguments: list[str], stdin: str, message: str):
    result = agent("audit", "verify", written[0], *arguments, stdin=stdin)
    assert (result.returncode, result.stdout) == (2, "")
    assert message in result.stderr


def test_missing_file_exits_2(tmp_path: Path):
    assert agent("audit", "verify", tmp_path / "none", "--chain-only").returncode == 2
    assert agent("audit", "show", tmp_path / "none").returncode == 2


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], [1, 2, 3, 4, 5]),
        (["--application", "shop/web"], [2, 5]),
        (["--object", "Secret shop/db"], [2, 3]),
        (["--run", "run-2"], [3]),
        (["--application", "shop/web", "--object", "Deployment.apps shop/web"], [5]),
        (["--application", "none/none"], []),
    ],
)
def test_show_chooses_records(written: tuple[Path, str], arguments: list[str], expected: list[int]):
    result = agent("audit", "show", written[0], *arguments, "-o", "json")
    assert result.returncode == 0
    assert [record["seq"] for record in json.loads(result.stdout)] == expected


def test_table_shows_where_secrets_went_and_obeys_no_author(written: tuple[Path, str]):
    result = agent("audit", "show", written[0], "--run", "run-1")
    assert "main@cccccccccccc" in result.stdout
    assert "data.password, sops:db.yaml#password" in result.stdout
    assert "\x1b" not in result.stdout


def test_forged_types_are_left_out(tmp_path: Path):
    path = tmp_path / "audit.jsonl"
    head, lines = record.Head(), []
    for fields in ({"facts": [1]}, {"revision": {"commit": None}}, {"revision": "x", "fields": 5, "facts": "y"}):
        line, head = record.link(fields, head)  # pyright: ignore[reportArgumentType]
        lines.append(line + b"\n")
    path.write_bytes(b"".join(lines))
    result = agent("audit", "show", path)
    assert result.returncode == 0
    assert "2 lines are not as the agent wrote them" in result.stderr
