"""A whole chain, and each change to one, as they are judged."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from audit_chains import OTHER, SIGNER, Kept, judge, kinds, lines_of, opened, write_runs

from agent.adapters.audit import anchor as anchors
from agent.adapters.audit import credential, record
from agent.values.errors import AuditError
from agent.values.secret import Secret

if TYPE_CHECKING:
    from pathlib import Path


async def test_whole_chain_verifies(chain: Path, kept: Kept):
    report = judge(lines_of(chain), kept.anchor)
    assert report.verified
    assert (report.records, report.last, report.checkpoints, report.proven, report.unanchored) == (16, 16, 3, 16, 0)


async def test_record_tells_what_happened(chain: Path):
    fields = json.loads(lines_of(chain)[1])
    assert fields == {
        "seq": 2, "prev": json.loads(lines_of(chain)[0])["hash"], "hash": fields["hash"], "agent": "agent-0",
        "time": "2027-01-15T08:00:00.250Z", "phase": "intent", "run": "0123456789abcdef", "cause": "git",
        "application": "shop/web", "uid": "uid-1", "action": "apply-0", "object": "Secret shop/db", "fields": ["data.password"],
        "fingerprints": {"data.password": "fp:001122334455"}, "secrets": ["vault:main/secret/shop#password@7"],
        "revision": {"commit": "a" * 40, "ref": "main", "author": "Dev <dev@example.com>", "signature": "unverified"},
    }  # fmt: skip


def edited(lines: list[bytes]) -> list[bytes]:
    return [*lines[:4], lines[4].replace(b'"apply-', b'"spare-'), *lines[5:]]


def edited_with_its_hash(lines: list[bytes]) -> list[bytes]:
    fields = json.loads(lines[4])
    before = record.head(record.read(lines[3][:-1]))
    forged, _ = record.link(
        {**{n: v for n, v in fields.items() if n not in ("seq", "prev", "hash")}, "action": "none"}, before
    )
    return [*lines[:4], forged + b"\n", *lines[5:]]


def rewritten_to_the_end(lines: list[bytes]) -> list[bytes]:
    out, head = lines[:3], record.head(record.read(lines[2][:-1]))
    for line in lines[4:]:
        fields = {n: v for n, v in json.loads(line).items() if n not in ("seq", "prev", "hash")}
        forged, head = record.link(fields, head)
        out.append(forged + b"\n")
    return out


def reformatted(lines: list[bytes]) -> list[bytes]:
    return [*lines[:7], json.dumps(json.loads(lines[7]), sort_keys=True).encode() + b"\n", *lines[8:]]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (edited, [("edit", 5, 5)]),
        (edited_with_its_hash, [("edit", 6, 6)]),
        (rewritten_to_the_end, [("edit", 5, 5), ("edit", 10, 10), ("edit", 15, 15), ("cut", 16, 16)]),
        (reformatted, [("edit", 8, 8)]),
        (lambda lines: [*lines[:3], b"not a record\n", *lines[4:]], [("edit", 4, 4)]),
        (lambda lines: [*lines[:7], *lines[8:]], [("removal", 8, 8)]),
        (lambda lines: [*lines[:2], *lines[3:6], *lines[10:]], [("removal", 3, 3), ("removal", 7, 10)]),
        (lambda lines: lines[2:], [("removal", 1, 2)]),
        (lambda lines: [*lines[:5], lines[6], lines[5], *lines[7:]], [("reordering", 6, 6)]),
        (lambda lines: [*lines[:5], *lines[8:10], *lines[5:8], *lines[10:]], [("reordering", n, n) for n in (6, 7, 8)]),
        (lambda lines: [*lines[:5], lines[2], *lines[5:]], [("reordering", 3, 3)]),
        (lambda lines: lines[:-1], [("cut", 16, 16)]),
        (lambda lines: lines[:6], [("cut", 7, 16)]),
        (lambda lines: [], [("cut", 1, 16)]),
    ],
)  # fmt: skip
async def test_each_change_has_its_own_finding(chain: Path, kept: Kept, change, expected):
    assert kinds(judge(change(lines_of(chain)), kept.anchor)) == expected


async def test_tail_rewritten_without_checkpoints_misses_the_anchor(chain: Path, kept: Kept):
    lines = lines_of(chain)
    head = record.head(record.read(lines[11][:-1]))
    for _ in range(6):
        forged, head = record.link({"agent": "agent-0", "phase": "event", "action": "nothing"}, head)
        lines[head.seq - 1 : head.seq] = [forged + b"\n"]
    report = judge(lines, kept.anchor)
    assert kinds(report) == [("edit", 16, 16)]
    assert judge(lines).verified, "without the anchor this is a long unanchored tail"
    assert judge(lines).unanchored == 7


async def test_unanchored_tail_is_counted_and_no_fault(tmp_path: Path, kept: Kept):
    path = tmp_path / "audit.jsonl"
    await write_runs(path, kept, runs=1, each=2, tail=5)
    report = judge(lines_of(path), kept.anchor)
    assert report.verified
    assert (report.proven, report.unanchored) == (4, 5)


async def test_checkpoint_of_another_key_is_a_fault(tmp_path: Path, kept: Kept):
    path = tmp_path / "audit.jsonl"
    audit = await opened(path, kept, signer=OTHER)
    await audit.checkpoint("run")
    await audit.close()
    assert kinds(judge(lines_of(path))) == [("signature", 2, 2)]


async def test_checkpoint_signed_by_another_key_under_a_known_name_is_a_fault(tmp_path: Path, kept: Kept):
    fields = {"agent": "a", "phase": "checkpoint", "action": "checkpoint", "key": SIGNER.key_id}
    line, _ = record.link(fields, record.Head(), OTHER.sign)
    assert kinds(judge([line + b"\n"])) == [("edit", 1, 1)]


async def test_hostile_number_costs_nothing():
    line, _ = record.link({"phase": "event"}, record.Head(10**18, record.START))
    assert kinds(judge([line + b"\n"])) == [("removal", 1, 10**18)]


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b"{}",
        b'{"seq":1}',
        b'{"hash":1,"prev":2,"seq":"1"}',
        b"[" * 100_000,
        b"\xff",
        b'{"seq":true}',
    ],
)
def test_anything_else_is_no_record(line: bytes):
    assert record.read(line) is None
    assert kinds(judge([line + b"\n"])) == [("edit", 1, 1)]


async def test_anchor_survives_the_cluster_and_refuses_a_change(chain: Path, kept: Kept):
    assert kept.anchor is not None
    config_map = kept.anchor.config_map("signet-system")
    assert anchors.parse(json.loads(json.dumps(config_map))) == kept.anchor
    assert config_map["metadata"]["name"] == "signet-audit-agent-0"
    for field, value in (("seq", "3"), ("hash", "0" * 64), ("agent", "other"), ("publicKey", OTHER.public_pem)):
        data = {**kept.anchor.data(), field: value}
        with pytest.raises(AuditError):
            anchors.parse(data)
    for tree in (None, [], {"kind": "ConfigMap"}, {"data": {}}, {**kept.anchor.data(), "seq": "x"}):
        with pytest.raises(AuditError):
            anchors.parse(tree)


def test_signer_shows_no_key():
    assert repr(SIGNER) == f"Signer({SIGNER.key_id})"
    with pytest.raises(AuditError, match="32 bytes"):
        credential.Signer(Secret(b"short", "test:x"))
