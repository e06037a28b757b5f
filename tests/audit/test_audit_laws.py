"""No change to an anchored file goes unseen, and no kill leaves a file that is not continued."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from typing import TYPE_CHECKING

from hypothesis import assume, given
from hypothesis import strategies as st

from agent.adapters.audit import anchor as anchors
from agent.adapters.audit import credential, record, trail, verify
from agent.values.secret import Secret

if TYPE_CHECKING:
    from pathlib import Path

    from agent.adapters.audit.anchor import Anchor

SIGNER = credential.Signer(Secret(b"l" * 32, "test:audit"))
KEYS = credential.public_keys(SIGNER.public_pem)
LENGTH = 24


def chain() -> tuple[list[bytes], Anchor]:
    lines: list[bytes] = []
    head = record.Head()
    for number in range(LENGTH):
        signed = number % 6 == 5
        fields: record.Content = {
            "agent": "a",
            "phase": "checkpoint" if signed else "intent",
            "action": f"action {number}",
        }
        line, head = record.link(
            fields | ({"key": SIGNER.key_id} if signed else {}), head, SIGNER.sign if signed else None
        )
        lines.append(line + b"\n")
    signature = SIGNER.sign(anchors.signed("a", head.seq, head.hash))
    return lines, anchors.Anchor("a", head.seq, head.hash, SIGNER.key_id, SIGNER.public_pem, signature)


LINES, ANCHOR = chain()
places = st.integers(0, LENGTH - 1)


def is_verified(lines: list[bytes]) -> bool:
    return verify.verify(lines, KEYS, ANCHOR).verified


def test_unchanged_chain_verifies():
    assert is_verified(LINES)


@given(place=places, offset=st.integers(0, 10_000), byte=st.integers(0, 255))
def test_no_byte_can_change(place: int, offset: int, byte: int):
    line = bytearray(LINES[place])
    offset %= len(line) - 1
    assume(line[offset] != byte)
    line[offset] = byte
    changed = b"".join([*LINES[:place], bytes(line), *LINES[place + 1 :]]).splitlines(keepends=True)
    assert not is_verified(changed)


@given(st.sets(places, min_size=1))
def test_no_set_of_lines_can_go(gone: set[int]):
    assert not is_verified([line for place, line in enumerate(LINES) if place not in gone])


@given(st.permutations(range(LENGTH)))
def test_no_lines_can_move(order: list[int]):
    assume(order != sorted(order))
    assert not is_verified([LINES[place] for place in order])


@given(places, places)
def test_no_line_can_come_again(source: int, target: int):
    assert not is_verified([*LINES[:target], LINES[source], *LINES[target:]])


@given(place=places, action=st.text(min_size=1))
def test_no_line_can_be_rewritten_even_with_every_hash_after_it(place: int, action: str):
    head = record.head(record.read(LINES[place - 1][:-1]) or {}) if place else record.Head()
    forged = LINES[:place]
    for number, line in enumerate(LINES[place:]):
        fields = {name: value for name, value in json.loads(line).items() if name not in {"seq", "prev", "hash"}}
        new, head = record.link(fields | ({"action": action} if number == 0 else {}), head)
        forged.append(new + b"\n")
    assume(forged != LINES)
    assert not is_verified(forged)


@given(st.lists(st.binary(max_size=200)))
def test_anything_is_judged_without_a_failure(lines: list[bytes]):
    report = verify.verify([line + b"\n" for line in lines], KEYS, ANCHOR)
    assert not report.verified


WRITER = """
import asyncio, sys
from pathlib import Path
from tests_support import ENTRY, SIGNER, trail

async def keep(anchor):
    pass

async def main():
    audit = await trail.open_trail(agent="a", signer=SIGNER, clock=lambda: 0.0, keep=keep, file=Path(sys.argv[1]), stream=1, anchor=None)
    while True:
        await asyncio.gather(*(audit.write([ENTRY] * 3) for _ in range(5)))
        await audit.checkpoint("run")

asyncio.run(main())
"""

SUPPORT = """
from agent.adapters.audit import credential, trail
from agent.engine.ports import AuditEntry
from agent.values.ids import ApplicationId
from agent.values.secret import Secret

SIGNER = credential.Signer(Secret(b"l" * 32, "test:audit"))
ENTRY = AuditEntry("intent", "run", "git", ApplicationId("shop", "web", "uid"), None, "apply", facts={"x": "y" * 3000})
"""


def test_killed_writer_is_continued_and_the_chain_verifies(tmp_path: Path):
    path = tmp_path / "audit.jsonl"
    (tmp_path / "tests_support.py").write_text(SUPPORT)
    (tmp_path / "writer.py").write_text(WRITER)
    for kill_after in (1, 2, 17, 40, 111):
        with subprocess.Popen([sys.executable, tmp_path / "writer.py", path], stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            for _ in range(kill_after):
                assert writer.stdout.readline()
            writer.kill()
    kept: list[Anchor] = []

    async def finish() -> None:
        async def keep(anchor: Anchor) -> None:
            kept.append(anchor)

        audit = await trail.open_trail(
            agent="a", signer=SIGNER, clock=lambda: 0.0, keep=keep, file=path, stream=None, anchor=None
        )
        await audit.checkpoint("run")
        await audit.close()

    asyncio.run(finish())
    with path.open("rb") as lines:
        report = verify.verify(lines, KEYS, kept[0])
    assert report.verified
    assert (report.unanchored, report.torn) == (0, False)
    assert report.records >= 171
