"""What an agent finds in its audit file as it starts: it is continued, and what is lost or unreadable stays visible."""

# ruff: noqa: ASYNC240  # what is read here is small and local

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from audit_chains import Kept, judge, kinds, lines_of, opened, write_runs

from agent.values.errors import AuditError

if TYPE_CHECKING:
    from pathlib import Path


async def test_restart_continues_the_chain(chain: Path, kept: Kept):
    await write_runs(chain, kept, runs=1, each=1)
    report = judge(lines_of(chain), kept.anchor)
    assert report.verified
    assert (report.records, report.unanchored) == (19, 0)


@pytest.mark.parametrize("keep", [1, 40, -1])
async def test_half_written_line_is_cut_and_recorded(chain: Path, kept: Kept, keep: int):
    half = lines_of(chain)[-1][:-1][:keep]
    chain.write_bytes(chain.read_bytes() + half)
    assert judge(lines_of(chain), kept.anchor).torn
    await write_runs(chain, kept, runs=1, each=1)
    report = judge(lines_of(chain), kept.anchor)
    assert report.verified
    assert not report.torn
    note = json.loads(lines_of(chain)[16])
    assert (note["action"], note["facts"]) == ("torn-line-cut", {"bytes": len(half)})


async def test_file_that_is_only_half_a_line_is_started_over(tmp_path: Path, kept: Kept):
    path = tmp_path / "audit.jsonl"
    path.write_bytes(b'{"action":"op')
    await write_runs(path, kept, runs=1, each=1)
    assert judge(lines_of(path), kept.anchor).verified


async def test_tail_lost_while_the_agent_was_away_is_recorded_and_stays_visible(chain: Path, kept: Kept):
    chain.write_bytes(b"".join(lines_of(chain)[:10]))
    await write_runs(chain, kept, runs=1, each=1)
    report = judge(lines_of(chain), kept.anchor)
    assert kinds(report) == [("removal", 11, 16)]
    note = json.loads(lines_of(chain)[10])
    assert (note["seq"], note["action"], note["facts"]) == (17, "records-lost", {"first": 11, "last": 16})


LONG = b'{"' + b"x" * (20 << 20) + b'"}\n'


@pytest.mark.parametrize(
    ("tail", "lost"),
    [
        (lambda lines: [lines[-1].replace(b"agent-0", b"agent-9")], (16, 16)),
        (lambda lines: [lines[-2], LONG, b"not a record\n"], (16, 16)),
        (lambda lines: [lines[-2], b"\0" * 5000 + b"\n", b"half"], (16, 16)),
    ],
    ids=["an altered record", "a line of 20 MiB", "a block of a bad disk, and half a line"],
)
async def test_unreadable_tail_is_set_aside_and_stays_visible(chain: Path, kept: Kept, tail, lost):
    lines = lines_of(chain)
    unreadable = b"".join(tail(lines)).removeprefix(lines[-2])
    chain.write_bytes(b"".join(lines[:-1]) + unreadable)
    await write_runs(chain, kept, runs=1, each=1)
    whole = unreadable.removesuffix(b"half")
    assert chain.with_name("audit.jsonl.unreadable").read_bytes() == whole
    assert kinds(judge(lines_of(chain), kept.anchor)) == [("removal", *lost)]
    said = [json.loads(line) for line in lines_of(chain)[15:]]
    notes = {note["action"]: note.get("facts") for note in said if note["phase"] == "event"}
    assert notes["unreadable-tail-set-aside"] == {"bytes": len(whole)}
    assert notes["records-lost"] == {"first": 16, "last": 16}
    assert ("torn-line-cut" in notes) is unreadable.endswith(b"half")


async def test_file_without_any_record_is_left_as_it_is(tmp_path: Path, kept: Kept):
    path = tmp_path / "hosts"
    path.write_bytes(b"127.0.0.1 localhost\n" * 3)
    with pytest.raises(AuditError, match="not an audit trail"):
        await opened(path, kept)
    assert path.read_bytes() == b"127.0.0.1 localhost\n" * 3
    assert list(tmp_path.iterdir()) == [path]
