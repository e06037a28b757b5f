"""What is written to a file or a stream, by how many writers, and what is refused."""

# ruff: noqa: ASYNC240  # what is read here is small and local

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from audit_chains import ENTRY, Kept, judge, lines_of, opened
from hypothesis import given
from hypothesis import strategies as st

from agent.adapters.audit import record
from agent.values.errors import AuditError, ClusterUnavailableError
from agent.values.ids import Revision
from agent.values.secret import Secret

if TYPE_CHECKING:
    from pathlib import Path

    from agent.adapters.audit.anchor import Anchor
    from agent.engine.ports import AuditEntry


async def test_second_writer_is_refused(chain: Path, kept: Kept):
    audit = await opened(chain, kept)
    with pytest.raises(AuditError, match="another process writes this audit file"):
        await opened(chain, kept)
    await audit.close()
    await (await opened(chain, kept)).close()


async def test_link_and_pipe_are_no_audit_files(tmp_path: Path, kept: Kept):
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(AuditError, match="cannot be opened"):
        await opened(tmp_path / "link", kept)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(AuditError, match="not a regular file"):
        await opened(tmp_path / "pipe", kept)
    assert not (tmp_path / "elsewhere").exists()


async def test_file_is_its_owner_s_alone(chain: Path):
    assert chain.stat().st_mode & 0o777 == 0o600


async def test_full_disk_stops_and_recovers(tmp_path: Path, kept: Kept):
    """/dev/full cannot stand for it, being no regular file: a file-size limit makes the kernel refuse the same write."""
    import resource
    import signal

    path = tmp_path / "audit.jsonl"
    audit = await opened(path, kept)
    await audit.write([ENTRY])
    size = path.stat().st_size
    former, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100, former[1]))
    try:
        with pytest.raises(AuditError, match="cannot be written"):
            await audit.write([ENTRY])
        assert path.stat().st_size == size
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, former)
        signal.signal(signal.SIGXFSZ, handler)
    await audit.write([ENTRY])
    await audit.checkpoint("run")
    await audit.close()
    report = judge(lines_of(path), kept.anchor)
    assert report.verified
    assert report.records == 4


async def test_many_writers_at_once_share_one_chain(tmp_path: Path, kept: Kept):
    path = tmp_path / "audit.jsonl"
    audit = await opened(path, kept)
    await asyncio.gather(*(audit.write([replace(ENTRY, run=f"{number}")] * 3) for number in range(100)))
    await audit.checkpoint("run")
    await audit.close()
    report = judge(lines_of(path), kept.anchor)
    assert report.verified
    assert report.records == 302
    runs = [json.loads(line)["run"] for line in lines_of(path)[1:-1]]
    assert runs == [run for run in dict.fromkeys(runs) for _ in range(3)], "entries of one call stay together"


async def test_what_is_not_written_yet_is_known_and_how_long_writing_took_is_reported(tmp_path: Path, kept: Kept):
    """A pipe that is full takes nothing, as a disk that hangs."""
    reading, writing = os.pipe()
    audit = await opened(tmp_path / "audit.jsonl", kept, stream=writing)
    reported: list[tuple[bool, float]] = []
    audit.observe = lambda done, seconds: reported.append((done, seconds))
    before = audit.backlog
    filling = asyncio.create_task(audit.write([replace(ENTRY, run="r" * 100)] * 1000))
    await asyncio.sleep(0.2)
    later = asyncio.create_task(audit.write([ENTRY]))
    await asyncio.sleep(0)
    (records, waited), reported_before = audit.backlog, list(reported)
    reader = asyncio.create_task(asyncio.to_thread(_drain, reading))
    await asyncio.gather(filling, later)
    os.close(writing)
    await reader
    os.close(reading)
    assert (before, records, reported_before) == ((0, 0.0), 1001, [])
    assert waited > 0
    assert reported[0][1] >= waited
    assert [done for done, _ in reported] == [True, True]
    assert audit.backlog == (0, 0.0)
    await audit.close()


async def test_a_write_that_fails_is_reported(tmp_path: Path, kept: Kept):
    reading, writing = os.pipe()
    os.close(reading)
    audit = await opened(tmp_path / "audit.jsonl", kept)
    audit._stream, reported = writing, []
    audit.observe = lambda done, _: reported.append(done)
    with pytest.raises(AuditError):
        await audit.write([ENTRY])
    assert (reported, audit.backlog) == ([False], (0, 0.0))
    await audit.close()
    os.close(writing)


def _drain(reading: int) -> None:
    while os.read(reading, 65_536):
        pass


async def test_cancelled_caller_leaves_the_chain_whole(tmp_path: Path, kept: Kept):
    path = tmp_path / "audit.jsonl"
    audit = await opened(path, kept)
    tasks = [asyncio.create_task(audit.write([ENTRY])) for _ in range(20)]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await audit.checkpoint("run")
    await audit.close()
    assert judge(lines_of(path), kept.anchor).verified


async def test_stream_gets_the_same_lines(tmp_path: Path, kept: Kept):
    reading, writing = os.pipe()
    audit = await opened(tmp_path / "audit.jsonl", kept, stream=writing)
    await audit.write([ENTRY])
    await audit.checkpoint("run")
    await audit.close()
    os.close(writing)
    with os.fdopen(reading, "rb") as stream:
        assert stream.read() == (tmp_path / "audit.jsonl").read_bytes()


async def test_without_a_file_the_chain_goes_on_from_the_anchor(kept: Kept):
    reading, writing = os.pipe()
    for _ in range(2):
        audit = await opened(None, kept, stream=writing)
        await audit.checkpoint("run")
        await audit.close()
    os.close(writing)
    with os.fdopen(reading, "rb") as stream:
        assert judge(stream.readlines(), kept.anchor).verified


async def test_broken_stream_is_an_error(kept: Kept):
    reading, writing = os.pipe()
    audit = await opened(None, kept, stream=writing)
    os.close(reading)
    with pytest.raises(AuditError, match="standard output"):
        await audit.write([ENTRY])
    os.close(writing)


@pytest.mark.parametrize(
    "entry",
    [
        replace(ENTRY, facts={"password": Secret("hunter2", "test:x")}),
        replace(ENTRY, action=Secret("hunter2", "test:x")),
        replace(ENTRY, fields=(b"x",)),
        replace(ENTRY, facts={"ratio": 0.5}),
    ],
)
async def test_what_is_no_fact_is_refused(tmp_path: Path, kept: Kept, entry: AuditEntry):
    audit = await opened(tmp_path / "audit.jsonl", kept)
    with pytest.raises(AuditError) as caught:
        await audit.write([entry])
    await audit.close()
    assert "hunter2" not in repr(caught.value) + (tmp_path / "audit.jsonl").read_text()


@given(st.text())
def test_text_from_outside_cannot_move_a_terminal_or_break_a_line(text: str):
    entry = replace(ENTRY, revision=Revision("a" * 40, text, text, 0), facts={"path": text})
    line, head = record.link(record.content(entry, agent="a", time="t"), record.Head())
    fields = record.read(line)
    assert fields is not None
    assert record.head(fields) == head
    assert line.isascii()
    assert b"\n" not in line
    assert str(json.loads(line)["revision"]["author"]).isprintable()


async def test_checkpoints_that_come_together_are_anchored_together_and_the_newest_stays(tmp_path: Path):
    asked: list[Anchor] = []
    go = asyncio.Event()

    async def keep(anchor: Anchor) -> None:
        asked.append(anchor)
        await go.wait()

    audit = await opened(tmp_path / "audit.jsonl", Kept())
    audit._keep = keep
    runs = [asyncio.create_task(audit.checkpoint(f"{number}")) for number in range(10)]
    done, _ = await asyncio.wait(runs, timeout=0.2)
    assert not done, "none returns before its record is anchored"
    go.set()
    await asyncio.gather(*runs)
    await audit.close()
    assert len(asked) <= 3
    assert asked[-1].seq == audit.head.seq


async def test_a_checkpoint_that_cannot_be_anchored_fails_for_all_that_waited_for_it_and_for_none_after_it(
    tmp_path: Path,
):
    asked, fails = 0, True

    async def keep(_: Anchor) -> None:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0.01)
        if fails:
            raise ClusterUnavailableError("the API server does not answer")

    audit = await opened(tmp_path / "audit.jsonl", Kept())
    audit._keep = keep
    came = await asyncio.gather(*(audit.checkpoint(f"{number}") for number in range(10)), return_exceptions=True)
    assert [type(each) for each in came] == [ClusterUnavailableError] * 10
    assert asked <= 3
    fails = False
    await audit.checkpoint("later")
    await audit.close()
