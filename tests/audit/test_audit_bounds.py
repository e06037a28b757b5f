"""How large a record may be, and how much is made and written at a time."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from audit_chains import ENTRY, Kept, judge, lines_of, opened, write_runs

from agent.adapters.audit import journal, record
from agent.values.ids import Revision

if TYPE_CHECKING:
    from pathlib import Path

    from agent.engine.ports import AuditEntry

HUGE = "\U000e0001" * 900_000
FURTHER = Revision(HUGE[:5000], HUGE[:5000], HUGE[:5000], 0)
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
        revision=Revision(HUGE[:5000], HUGE[:5000], HUGE[:5000], 0, further=((HUGE[:5000], FURTHER),) * 9),
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


def test_the_commits_of_all_sources_are_named():
    alone = record.content(ENTRY, agent="a", time="t")
    further = (("platform", Revision("b" * 40, "stable", "Dev", 0)), ("charts", Revision("sha256:cd", "", "", 0)))
    assert ENTRY.revision is not None
    entry = replace(ENTRY, revision=replace(ENTRY.revision, further=further))
    given = record.content(entry, agent="a", time="t")
    assert given.pop("sources") == [f"platform stable@{'b' * 40}", "charts @sha256:cd"]
    assert given == alone, "an entry with one source is as before"


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
