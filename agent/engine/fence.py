"""The right to write for one Application: one agent has it at a time, and the API server decides which.

Who takes an Application writes the next *epoch* into the head of its record, by compare-and-swap. From then on every earlier epoch is
over: a run shows its epoch before it writes, and an agent that finds another one in its place ends the run and forgets what it knew.

What this does not promise: a request that was sent before the epoch changed may still land. Every such request carries the version of
the object that it changes, or that there is none, and that was read before the epoch was shown: so it never undoes what the new owner
wrote, and the new owner sees it and corrects it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from agent.values.errors import LeaseLostError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextlib import AbstractAsyncContextManager

FRESH_SECONDS: Final = 1.0
"""How long an epoch that was shown counts as shown: a long run shows it once a second, a short one once."""


class Fence:
    """One agent's hold on one Application, from the epoch that it took until that is over; never taken up again.

    `mine` says whether this agent still counts the Application as its own, from what it knows; `stands` asks the API server whether
    the record's head is the one that this agent wrote last; `monotonic` gives seconds; `turn` is a lock: of many that ask at once, one does.
    """

    def __init__(
        self,
        mine: Callable[[], bool],
        stands: Callable[[], Awaitable[bool]],
        monotonic: Callable[[], float],
        turn: AbstractAsyncContextManager[object],
    ) -> None:
        self._mine = mine
        self._stands = stands
        self._monotonic = monotonic
        self._turn = turn
        self._over = False
        self._shown_at = float("-inf")
        self._questions = 0

    @property
    def holds(self) -> bool:
        """Whether this agent knows of nothing that ended its hold."""
        return not self._over and self._mine()

    def check(self) -> None:
        """Before each attempt to write: costs nothing. Raises LeaseLostError."""
        if not self.holds:
            self._over = True
            raise LeaseLostError(
                "another agent may have taken over this Application", hint="nothing to do: its new owner continues"
            )

    def end(self) -> None:
        """The Application is not this agent's any more: its run ends at its next step."""
        self._over = True

    def shown(self) -> None:
        """The head was written just now, which shows the epoch as well."""
        self._shown_at = self._monotonic()

    async def show(self, *, afresh: bool = False) -> None:
        """Show the epoch to the API server, unless that was done within the last second. Raises LeaseLostError.

        `afresh` shows it in any case: another client wrote where this agent did.
        """
        self.check()
        before = self._questions
        if not afresh and self._is_fresh:
            return
        async with self._turn:
            self.check()
            # another task asked in the meantime, and would have ended the hold had the answer been another one
            if self._is_fresh and (not afresh or self._questions > before):
                return
            self._questions += 1
            now = self._monotonic()
            if await self._stands():
                self._shown_at = now
            else:
                self._over = True
            self.check()

    @property
    def _is_fresh(self) -> bool:
        return self._monotonic() - self._shown_at < FRESH_SECONDS
