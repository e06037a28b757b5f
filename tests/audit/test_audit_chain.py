"""A chain that is written, continued, broken and judged."""

# ruff: noqa: ASYNC240  # what is read here is small and local

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.adapters.audit import anchor as anchors
from agent.adapters.audit import credential, journal, record, trail, verify
from agent.engine.ports import AuditEntry
from agent.values.errors import AuditError
from agent.values.ids import ApplicationId, ObjectId, Revision
from agent.values.secret import Secret

if TYPE_CHECKING:
    from pathlib import Path

    from agent.adapters.audit.anchor import Anchor

SIGNER = credential.Signer(Secret(b"k" * 32, "test:audit"))
KEYS = credential.public_keys(SIGNER.public_pem)
OTHER = credential.Signer(Secret(b"o" * 32, "test:other"))

ENTRY = AuditEntry(
    phase="intent",
    run="0123456789abcdef",
    cause="git",
    application=ApplicationId("shop", "web", "uid-1"),
    revision=Revision("a" * 40, "main", "Dev <dev@example.com>", 0),
    action="apply",
    object=ObjectId("", "Secret", "shop", "db"),
    fields=("data.password",),
    fingerprints={"data.password": "fp:001122334455"},
    secrets=("vault:main/secret/shop#password@7",),
)


class Kept:
    """Where anchors go."""

    anchor: Anchor | None = None

    async def __call__(self, anchor: Anchor) -> None:
        self.anchor = anchor


async def opened(path: Path | None, kept: Kept, *, stream: int | None = None, signer=SIGNER) -> trail.AuditTrail:
    return await trail.open_trail(
        agent="agent-0",
        signer=signer,
        clock=lambda: 1_800_000_000.25,
        keep=kept,
        file=path,
        stream=stream,
        anchor=kept.anchor,
    )


async def write_runs(path: Path, kept: Kept, runs: int = 3, each: int = 4, tail: int = 0) -> None:
    audit = await opened(path, kept)
    for _ in range(runs):
        await audit.write([replace(ENTRY, action=f"apply-{number}") for number in range(each)])
        await audit.checkpoint(ENTRY.run)
    if tail:
        await audit.write([ENTRY] * tail)
    await audit.close()


@pytest.fixture
def kept() -> Kept:
    return Kept()


@pytest.fixture
async def chain(tmp_path: Path, kept: Kept) -> Path:
    """`opened`, then three runs of four entries and a checkpoint: 16 records."""
    path = tmp_path / "audit.jsonl"
    await write_runs(path, kept)
    return path


def lines_of(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True)


def judge(lines: list[bytes], anchor: Anchor | None = None, keys=KEYS) -> verify.Report:
    return verify.verify(lines, keys, anchor)


def kinds(report: verify.Report) -> list[tuple[str, int, int]]:
    return [(finding.kind, finding.first, finding.last) for finding in report.findings]


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
async def test_each_change_is_told_apart(chain: Path, kept: Kept, change, expected):
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


async def test_file_that_is_only_half_a_line_begins_anew(tmp_path: Path, kept: Kept):
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


HUGE = "\U000e0001" * 900_000
LARGE_ENTRIES = {
    "an author": replace(ENTRY, revision=Revision("a" * 40, "main", HUGE, 0)),
    "a field": replace(ENTRY, fields=(HUGE,)),
    "many fields": replace(ENTRY, fields=tuple(f"data.{number}" for number in range(100_000))),
    "many long fields": replace(ENTRY, fields=tuple(f"{number}{HUGE[:5000]}" for number in range(500))),
    "many fingerprints": replace(ENTRY, fingerprints={f"{number}{HUGE[:5000]}": "fp:0" for number in range(500)}),
    "many labels": replace(ENTRY, secrets=tuple(f"{number}{HUGE[:5000]}" for number in range(500))),
    "many facts": replace(ENTRY, facts={f"{number}{HUGE[:300]}": HUGE[:5000] for number in range(500)}),
    "a fact": replace(ENTRY, facts={"found": 10**10_000, "file": HUGE}),
    "all of it": replace(
        ENTRY,
        run=HUGE[:5000],
        cause=HUGE[:5000],
        revision=Revision(HUGE[:5000], HUGE[:5000], HUGE[:5000], 0),
        fields=(HUGE[:5000],) * 500,
        fingerprints={f"{number}{HUGE[:5000]}": HUGE[:5000] for number in range(500)},
        secrets=(HUGE[:5000],) * 500,
        facts={f"{number}": HUGE[:5000] for number in range(500)},
    ),
}


@pytest.mark.parametrize("entry", LARGE_ENTRIES.values(), ids=LARGE_ENTRIES)
async def test_every_record_that_is_written_is_read_back(tmp_path: Path, kept: Kept, entry: AuditEntry):
    path = tmp_path / "audit.jsonl"
    for _ in range(2):
        audit = await opened(path, kept)
        await audit.write([entry])
        await audit.close()
    await write_runs(path, kept, runs=1, each=1)
    assert judge(lines_of(path), kept.anchor).verified
    assert max(map(len, lines_of(path))) <= record.LONGEST + 1
    assert not path.with_name("audit.jsonl.unreadable").exists()


def test_a_list_that_is_cut_tells_how_many_more_there_are():
    fields = record.content(LARGE_ENTRIES["many fields"], agent="a", time="t")
    assert fields["fields"] == [*(f"data.{number}" for number in range(50)), "and 99950 more"]
    author = record.content(LARGE_ENTRIES["an author"], agent="a", time="t")["revision"]
    assert isinstance(author, dict)
    assert len(str(author["author"])) == 256


async def test_entries_are_made_as_they_are_written(tmp_path: Path, kept: Kept):
    """A wave of fifty thousand objects is never in memory as records all at once."""
    path = tmp_path / "audit.jsonl"
    audit = await opened(path, kept)
    ahead: list[int] = []

    def entries():
        for number in range(300):
            written = path.read_bytes().count(b"apply-")
            ahead.append(number - written)
            yield replace(ENTRY, action=f"apply-{number}", fields=("x" * 250,) * 50)

    await audit.write(entries())
    await audit.close()
    assert judge(lines_of(path), None).records == 301
    assert max(ahead) < 100


async def test_what_waits_to_be_written_goes_to_the_disk_in_parts(tmp_path: Path, kept: Kept, monkeypatch):
    audit = await opened(tmp_path / "audit.jsonl", kept)
    sizes: list[int] = []
    append = journal.Journal.append

    def appending(self: journal.Journal, lines: list[bytes], head: record.Head) -> None:
        sizes.append(sum(map(len, lines)))
        append(self, lines, head)

    monkeypatch.setattr(journal.Journal, "append", appending)
    entry = replace(ENTRY, fields=("x" * 250,) * 50)
    await asyncio.gather(*(audit.write([entry] * 20) for _ in range(40)))
    await audit.close()
    assert sum(sizes) > 10 << 20
    assert max(sizes) < 2 << 20


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
