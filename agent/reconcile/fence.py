"""The right to write for one Application: one agent has it at a time, and the API server decides which.

Who takes an Application writes the next *epoch* into the head of its record, by compare-and-swap. From then on every earlier epoch is
over: a run shows its epoch before it writes, and an agent that finds another one in its place ends the run and forgets what it knew.

What this does not promise: a request that was sent before the epoch changed may still land. Every such request carries the version of
the object that it changes, or that there is none, so it never undoes what the new owner wrote; and the new owner sees it and corrects it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from agent.values.errors import LeaseLostError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

FRESH_SECONDS: Final = 1.0
"""How long an epoch that was shown counts as shown: a long run shows it once a second, a short one once."""


class Fence:
    """One agent's hold on one Application, from the epoch that it took until that is over; never taken up again.

    `mine` says whether this agent still counts the Application as its own, from what it knows; `stands` asks the API server whether
    the record's head is the one that this agent wrote last; `monotonic` gives seconds.
    """

    def __init__(
        self, mine: Callable[[], bool], stands: Callable[[], Awaitable[bool]], monotonic: Callable[[], float]
    ) -> None:
        self._mine = mine
        self._stands = stands
        self._monotonic = monotonic
        self._over = False
        self._shown_at = float("-inf")

    @property
    def holds(self) -> bool:
        """Whether this agent knows of nothing that ended its hold."""
        return not self._over and self._mine()

    def check(self) -> None:
        """Before each attempt to write: costs nothing. Raises LeaseLostError."""
        if not self.holds:
            self._over = True
            raise LeaseLostError(
                "another agent may have this Application by now", hint="nothing to do: its owner goes on from here"
            )

    def end(self) -> None:
        """The Application is not this agent's any more: its run ends at its next step."""
        self._over = True

    def shown(self) -> None:
        """The head was written just now, which shows the epoch as well."""
        self._shown_at = self._monotonic()

    async def show(self, *, afresh: bool = False) -> None:
        """Show the epoch to the API server, unless that was done within the last second. Raises LeaseLostError.

        `afresh` shows it in any case: somebody else wrote where this agent did.
        """
        self.check()
        now = self._monotonic()
        if not afresh and now - self._shown_at < FRESH_SECONDS:
            return
        # set before the answer, so that of many requests at once one asks
        self._shown_at = now
        stands = False
        try:
            stands = await self._stands()
        finally:
            if not stands:
                self._shown_at = float("-inf")
        if not stands:
            self._over = True
        self.check()
