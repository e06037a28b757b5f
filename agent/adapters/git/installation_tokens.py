"""Tokens of GitHub Apps: asked for once by all that have the same credential, renewed before they end, and kept in memory alone."""

from __future__ import annotations

import time
from collections import OrderedDict
from contextlib import nullcontext
from typing import TYPE_CHECKING, Final

from agent.adapters.git import credential
from agent.adapters.git.sharing import Question

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.adapters.git.sharing import Answer
    from agent.api.operator import GitSettings
    from agent.engine.credentials import GitCredential
    from agent.values.fingerprint import Fingerprinter

RENEWED: Final = 10 * 60
"""Seconds before its end that a token is renewed at: no fetch takes so long."""
_LONGEST: Final = 60 * 60
"""Seconds for which a token is kept, whatever its end is said to be."""
_YOUNG: Final = 60
"""Seconds in which no other token is asked for if Git refuses one: it would be refused too, and others may share it."""
_MOST: Final = 1024
"""Credentials whose tokens are kept; those of others are asked for again."""


class Tokens:
    """Owned by one event loop. `fingerprinter` names credentials; `now` is Unix time, by which tokens are signed for and end."""

    def __init__(
        self,
        settings: GitSettings,
        fingerprinter: Fingerprinter,
        monotonic: Callable[[], float],
        now: Callable[[], float] = time.time,
    ) -> None:
        self._settings: Final = settings
        self._fingerprinter: Final = fingerprinter
        self._monotonic: Final = monotonic
        self._now: Final = now
        self._kept: Final[OrderedDict[str, Question[tuple[GitCredential, float]]]] = OrderedDict()

    async def login(self, login: GitCredential | None) -> GitCredential | None:
        """What Git is asked with: the credential itself, or the token that its App was given. Raises SourceError, LimitError, ConfigError."""
        if login is None or login.app is None:
            return login
        app, since = login.app, self._monotonic()
        name = credential.mirror_name(self._fingerprinter, app.tokens, login)
        question = self._kept.setdefault(name, Question(self._monotonic))
        self._kept.move_to_end(name)
        if len(self._kept) > _MOST:
            self._kept.popitem(last=False)

        def serves(answer: Answer[tuple[GitCredential, float]]) -> bool:
            """What came while this waited does, a failure too."""
            left = answer.value[1] - self._now() if answer.value is not None else 0
            return answer.ended >= since or left >= RENEWED

        async def ask() -> tuple[GitCredential, float]:
            # Only here, since few have Apps, and aiohttp takes its time to load.
            from agent.adapters.git import github_api  # noqa: PLC0415

            given, until = await github_api.ask(login, app, self._settings, self._now())
            return given, min(until, self._now() + _LONGEST)

        return (await question.ask(serves, nullcontext, ask))[0]

    def refused(self, login: GitCredential | None) -> None:
        """Git refused what the credential was answered with: ask for another token the next time, unless it is young."""
        if login is None or login.app is None:
            return
        name = credential.mirror_name(self._fingerprinter, login.app.tokens, login)
        known = self._kept.get(name)
        if known is not None and known.answer is not None and self._monotonic() - known.answer.ended > _YOUNG:
            del self._kept[name]
