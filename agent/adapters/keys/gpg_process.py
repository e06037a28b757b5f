"""python-gnupg with a deadline, the limits of a child, and gpg's status lines as they are.

The library's own reading of the status lines is passed over: it keeps no code of an error, and only a code distinguishes a locked key from a wrong
passphrase, and it parses what a message from a file may say. Its log is silent, since it quotes keys.
"""

from __future__ import annotations

import logging
import subprocess  # only for its exception
import threading
from typing import TYPE_CHECKING

import gnupg

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

logging.getLogger("gnupg").disabled = True

_GRACE_SECONDS = 2.0


class Status(gnupg.StatusHandler):
    """What one run of gpg said: the words of its status lines (doc/DETAILS in gpg's source), in their order."""

    def __init__(self, gpg: gnupg.GPG) -> None:
        super().__init__(gpg)
        self._lines: list[tuple[str, list[str]]] = []

    def handle_status(self, key: str, value: str) -> None:
        self._lines.append((key, value.split()))

    def fields(self, keyword: str) -> list[list[str]]:
        """The words behind a keyword, of each line that has it."""
        return [words for key, words in self._lines if key == keyword]


class Gpg(gnupg.GPG):
    """gpg with one home. A run that takes longer than `seconds` ends with SIGTERM; `bounded` puts limits around its command."""

    result_map = {**gnupg.GPG.result_map, "crypt": Status, "import": Status}  # noqa: RUF012  # as the library has it

    def __init__(
        self,
        binary: str,
        home: str | None,
        *,
        options: list[str],
        environment: Mapping[str, str] | None,
        seconds: float,
        bounded: Callable[[list[str]], list[str]],
    ) -> None:
        """Raises OSError and ValueError where gpg does not run."""
        self._seconds = seconds
        self._bounded = bounded
        super().__init__(binary, home, options=options, env=environment)

    def make_args(self, args: list[str], passphrase: object) -> list[str]:
        return self._bounded(super().make_args(args, passphrase))

    def _open_subprocess(self, args: list[str], passphrase: object = False) -> subprocess.Popen[bytes]:
        process = super()._open_subprocess(args, passphrase)
        threading.Thread(target=_end_in_time, args=(process, self._seconds), daemon=True).start()
        return process


def _end_in_time(process: subprocess.Popen[bytes], seconds: float) -> None:
    for end in (process.terminate, process.kill):
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            end()
            seconds = _GRACE_SECONDS
        else:
            return
