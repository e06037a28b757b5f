"""The engine's AuditPort: entries in, durable chained records out, a signed checkpoint per run.

Writes that arrive while another is under way go to the disk together, so that a wave of a hundred objects costs a few
synchronisations, not a hundred. What is asked for at once is made and written a part at a time, as is what goes to the disk together: both
are counted in bytes, since a tenant chooses how many objects there are. A record that cannot be written raises AuditError in the caller that asked
for it, and leaves the chain as it was. The one thread that writes does nothing else, so no other work keeps it waiting.
"""

from __future__ import annotations

import asyncio
import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, TypeAlias

from agent.adapters.audit import anchor as anchors
from agent.adapters.audit import record
from agent.adapters.audit.anchor import Anchor
from agent.adapters.audit.journal import Journal
from agent.adapters.audit.record import Content, Head
from agent.values import system
from agent.values.errors import AgentError, AuditError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable
    from pathlib import Path

    from agent.adapters.audit.credential import Signer
    from agent.engine.ports import AuditEntry

    Keep: TypeAlias = Callable[[Anchor], Awaitable[None]]


_BATCH: Final = 1024 * 1024
"""Bytes that are made, or written, together."""


@dataclass(frozen=True, slots=True)
class _Pending:
    contents: list[Content]
    size: int
    done: asyncio.Future[Head]
    since: float


class AuditTrail:
    """One agent's chain. Made by `open_trail`.

    `observe` is called with whether records were written, and the seconds that it took.
    """

    observe: Callable[[bool, float], None]

    def __init__(
        self,
        *,
        agent: str,
        signer: Signer,
        clock: Callable[[], float],
        keep: Keep,
        journal: Journal | None,
        stream: int | None,
        head: Head,
    ) -> None:
        self._agent: str = agent
        self._signer: Signer = signer
        self._clock: Callable[[], float] = clock
        self._keep: Keep = keep
        self._journal: Journal | None = journal
        self._stream: int | None = stream
        self._head: Head = head
        self._pending: list[_Pending] = []
        self._writing: list[_Pending] = []
        self.observe = lambda _done, _seconds: None
        self._flusher: asyncio.Task[None] | None = None
        self._thread: Final = ThreadPoolExecutor(1, thread_name_prefix="audit")
        self._anchoring: Final = asyncio.Lock()
        self._checkpoint: Head = Head()
        self._anchored: int = 0
        self._refused: tuple[int, AgentError] = (0, AuditError("the audit trail cannot be anchored"))

    @property
    def head(self) -> Head:
        """The newest record that is written."""
        return self._head

    @property
    def backlog(self) -> tuple[int, float]:
        """How many records are made and not written, and for how many seconds the oldest of them has been."""
        waiting = self._writing + self._pending
        records = sum(len(pending.contents) for pending in waiting)
        return records, time.monotonic() - waiting[0].since if waiting else 0.0

    async def write(self, entries: Iterable[AuditEntry]) -> None:
        """Durable when it returns. Raises AuditError; what was made of `entries` until then may be written."""
        now = self._now()
        contents: list[Content] = []
        size = 0
        for entry in entries:
            contents.append(record.content(entry, agent=self._agent, time=now))
            size += record.size(contents[-1])
            if size >= _BATCH:
                await self._append(contents, size)
                contents, size = [], 0
        if contents:
            await self._append(contents, size)

    async def checkpoint(self, run: str) -> None:
        """Sign the chain's head and keep it as the anchor, or a later checkpoint. Raises AuditError, and what keeping it raises."""
        head = await self._append(
            [
                {
                    "agent": self._agent,
                    "time": self._now(),
                    "phase": record.CHECKPOINT,
                    "run": run,
                    "action": "checkpoint",
                    "key": self._signer.key_id,
                }
            ]
        )
        self._checkpoint = max(self._checkpoint, head, key=lambda each: each.seq)
        async with self._anchoring:
            # those that came while an earlier one was kept are kept together, or refused together
            if self._anchored < head.seq <= self._refused[0]:
                raise self._refused[1].copy()
            if self._anchored < head.seq:
                await self._keep_newest()

    async def _keep_newest(self) -> None:
        newest = self._checkpoint
        try:
            await self._keep(self._anchor(newest))
        except AgentError as error:
            self._refused = newest.seq, error.copy()
            raise
        self._anchored = newest.seq

    def _anchor(self, head: Head) -> Anchor:
        return Anchor(
            agent=self._agent,
            seq=head.seq,
            hash=head.hash,
            key=self._signer.key_id,
            public_key=self._signer.public_pem,
            signature=self._signer.sign(anchors.signed(self._agent, head.seq, head.hash)),
        )

    async def note(self, action: str, **facts: str | int) -> None:
        """A record of the agent itself, of no Application."""
        await self._append(
            [{"agent": self._agent, "time": self._now(), "phase": "event", "action": action, "facts": dict(facts)}]
        )

    async def close(self) -> None:
        """Finish what is under way and release the file."""
        if self._flusher is not None:
            await asyncio.wait([self._flusher])
        self._thread.shutdown(wait=False)
        if self._journal is not None:
            self._journal.close()

    def _now(self) -> str:
        return datetime.fromtimestamp(self._clock(), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

    async def _append(self, contents: list[Content], size: int = 0) -> Head:
        pending = _Pending(contents, size, asyncio.get_running_loop().create_future(), time.monotonic())
        self._pending.append(pending)
        if self._flusher is None or self._flusher.done():
            self._flusher = asyncio.create_task(self._flush(), name="audit")
        return await pending.done

    async def _flush(self) -> None:
        """The one writer: a caller that is cancelled leaves what it asked for to be written all the same."""
        while self._pending:
            batch = self._writing = self._next_batch()
            try:
                heads = await asyncio.get_running_loop().run_in_executor(
                    self._thread, self._write_batch, [pending.contents for pending in batch]
                )
            except Exception as error:  # noqa: BLE001  # the waiting caller gets the error, of any kind
                self._written(batch, done=False)
                for pending in batch:
                    if not pending.done.done():
                        pending.done.set_exception(_failure(error))
                continue
            self._written(batch, done=True)
            for pending, head in zip(batch, heads, strict=True):
                if not pending.done.done():
                    pending.done.set_result(head)

    def _written(self, batch: list[_Pending], *, done: bool) -> None:
        self._writing, now = [], time.monotonic()
        for pending in batch:
            self.observe(done, now - pending.since)

    def _next_batch(self) -> list[_Pending]:
        """The first of those that wait, as many as are written together; one at least."""
        size = count = 0
        for pending in self._pending:
            size += pending.size
            count += 1
            if size >= _BATCH:
                break
        batch, self._pending = self._pending[:count], self._pending[count:]
        return batch

    def _write_batch(self, batch: list[list[Content]]) -> list[Head]:
        lines: list[bytes] = []
        heads: list[Head] = []
        head = self._head
        for contents in batch:
            for fields in contents:
                sign = self._signer.sign if fields["phase"] == record.CHECKPOINT else None
                line, head = record.link(fields, head, sign)
                lines.append(line)
            heads.append(head)
        if self._journal is not None:
            self._journal.append(lines, head)
            self._head = head
        self._write_stream(lines)
        self._head = head
        return heads

    def _write_stream(self, lines: list[bytes]) -> None:
        if self._stream is None:
            return
        data = memoryview(b"".join(line + b"\n" for line in lines))
        try:
            while data:
                data = data[os.write(self._stream, data) :]
        except OSError as error:
            raise AuditError(
                "the audit trail cannot be written to standard output", cause=system.cause(error)
            ) from None


def _failure(error: Exception) -> AuditError:
    """An error of its own for each that waits: a traceback belongs to one raise."""
    return error.copy() if isinstance(error, AuditError) else AuditError("the audit trail cannot be written")


async def open_trail(
    *,
    agent: str,
    signer: Signer,
    clock: Callable[[], float],
    keep: Keep,
    file: Path | None,
    stream: int | None,
    anchor: Anchor | None,
) -> AuditTrail:
    """Go on with the chain of `file`, or begin one.

    `clock` gives Unix seconds, `stream` is a file descriptor (1 is standard output), `anchor` the one that is kept for this agent, if
    any, and `keep` stores the next. A torn line, an unreadable tail, and records that the anchor knows and the file does not, are recorded.
    Raises AuditError.
    """
    journal = await asyncio.to_thread(Journal, file) if file is not None else None
    end = journal.head if journal is not None else Head()
    head = Head(anchor.seq, anchor.hash) if anchor is not None and anchor.seq > end.seq else end
    trail = AuditTrail(agent=agent, signer=signer, clock=clock, keep=keep, journal=journal, stream=stream, head=head)
    try:
        if journal is not None and journal.torn:
            await trail.note("torn-line-cut", bytes=journal.torn)
        if journal is not None and journal.unreadable:
            await trail.note("unreadable-tail-set-aside", bytes=journal.unreadable)
        if journal is not None and head.seq > end.seq:
            await trail.note("records-lost", first=end.seq + 1, last=head.seq)
        await trail.note("opened", key=signer.key_id)
    except BaseException:
        await trail.close()
        raise
    return trail
