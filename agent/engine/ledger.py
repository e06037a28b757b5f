"""The stored record of one Application, and the one place that writes it: by compare-and-swap, under the epoch that this agent took."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, TypeVar

from agent.engine.record import ApplicationRecord
from agent.engine.shards import HEAD, RecordDamagedError
from agent.values.errors import LeaseLostError, StaleObjectError

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.engine.ports import RecordPort, TasksPort
    from agent.engine.shards import Codec
    from agent.values.ids import ApplicationId, ClusterId, ObjectId

T = TypeVar("T")

_QUICK: Final = 500
_QUICK_BYTES: Final = 64 * 1024
"""Of a record that is written or read at once; a larger one takes long enough to keep everything else waiting."""


class Ledger:
    """`record` is what is stored of objects in `cluster`. It is as old as one epoch, like the state beside it.

    `recorded` is called with each new record, before anything of it is stored.

    `unrecorded` says that nothing was stored when the Application was taken, until a run looked whether there should have been; `loss` is
    the reason why what was stored is not known. `recovered` are the objects that a run takes over from an earlier Application: see `recovering`.
    """

    def __init__(
        self,
        records: RecordPort,
        tasks: TasksPort,
        codec: Codec,
        application: ApplicationId,
        shown: Callable[[], None],
        *,
        cluster: ClusterId,
    ) -> None:
        """`shown` is called after the head was written, which shows the epoch."""
        self.cluster: Final = cluster
        self.recorded: Callable[[ApplicationRecord], None] | None = None
        self._records = records
        self._tasks = tasks
        self._codec = codec
        self._application = application
        self._shown = shown
        self._saved: ApplicationRecord | None = None
        self._stored: dict[str, str] = {}
        self.record: ApplicationRecord = ApplicationRecord()
        self.unrecorded: bool = False
        self.loss: str = ""
        self.recovered: frozenset[ObjectId] = frozenset()

    @property
    def head(self) -> str:
        """The head as it was read or stored last."""
        return self._stored[HEAD]

    async def take(self, holder: str) -> None:
        """Read the stored record and write the next epoch into it. Raises LeaseLostError where another agent came first.

        A record that does not verify is lost: `loss` then says so. `holder` is a text that no other hold has.
        """
        self._stored = dict(await self._records.load(self._application))
        self.unrecorded = not self._stored
        try:
            stored = self._stored
            self.record = await self._beside(
                sum(map(len, stored.values())) > _QUICK_BYTES, lambda: self._codec.decode(stored)
            )
        except RecordDamagedError as error:
            self.loss = error.reason
            self._stored = dict.fromkeys(self._stored, "")
        await self._store(replace(self.record, epoch=self.record.epoch + 1, holder=holder))

    async def save(self, record: ApplicationRecord) -> bool:
        """Store what changed of a record; whether that showed the epoch. Raises LeaseLostError where another agent wrote it meanwhile."""
        stored = await self._store(record)
        if stored:
            self._shown()
        return stored

    async def _store(self, record: ApplicationRecord) -> bool:
        """Whether the head was written."""
        self.record = record
        if self.recorded is not None:
            self.recorded(record)
        if record == self._saved:
            return False
        stored = self._stored
        changed = await self._beside(len(record.objects) > _QUICK, lambda: self._codec.encode(record, stored))
        try:
            if changed:
                await self._records.store(self._application, changed)
        except StaleObjectError:
            raise LeaseLostError("another agent writes the record of this Application") from None
        self._stored = {name: text for name, text in {**self._stored, **changed}.items() if text}
        self._saved = record
        return HEAD in changed

    async def _beside(self, long: bool, work: Callable[[], T]) -> T:
        return await self._tasks.in_thread(work) if long else work()
