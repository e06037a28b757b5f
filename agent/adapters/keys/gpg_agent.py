"""gpg-agent as a keeper of passphrases: it asks by pinentry, and remembers the answer for a while.

sops keeps the passphrases of age identity files there, so one that was given to either is known to both. The protocol is Assuan's
(GnuPG manual, "Agent's Assuan Protocol"), over the agent's socket.
"""

from __future__ import annotations

import binascii
import socket
from typing import TYPE_CHECKING
from urllib.parse import quote_plus

from agent.values.errors import DataKeyError
from agent.values.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from io import BufferedRWPair

_LONGEST = 4096
_SECONDS = 120
"""How long a person may take; pinentry gives up earlier."""
_CANCELLED = b"83886179"


class GpgAgent:
    """A running agent, by the first of `sockets` that answers. `options` say for pinentry where the person is: ttyname, ttytype, display."""

    def __init__(self, sockets: Iterable[str], options: Mapping[str, str]) -> None:
        self._sockets = tuple(sockets)
        self._options = dict(options)

    def ask(self, question: str, keep_as: str) -> Secret | None:
        """What the person types, or typed before; None where no agent runs, or it cannot ask. Raises DataKeyError where they decline."""
        words = [keep_as, "X", "Passphrase", question]
        answer = self._say(f"GET_PASSPHRASE {' '.join(map(quote_plus, words))}")
        if answer.startswith(b"ERR " + _CANCELLED):
            raise DataKeyError("the question for the passphrase was declined")
        if not answer.startswith(b"OK"):
            return None
        try:
            return Secret(binascii.unhexlify(answer[3:].strip()), "passphrase")
        except binascii.Error:
            return None

    def forget(self, keep_as: str) -> None:
        self._say(f"CLEAR_PASSPHRASE {quote_plus(keep_as)}")

    def _say(self, command: str) -> bytes:
        """The agent's answer; empty where there is none."""
        for path in self._sockets:
            try:
                with socket.socket(socket.AF_UNIX) as connection, connection.makefile("rwb") as stream:
                    connection.settimeout(_SECONDS)
                    connection.connect(str(path))
                    answer = stream.readline()
                    for line in [*(f"OPTION {name}={value}" for name, value in self._options.items()), command]:
                        stream.write(line.encode("utf-8", "surrogateescape") + b"\n")
                        stream.flush()
                        answer = _answer(stream)
                    return answer
            except OSError:
                continue
        return b""


def _answer(stream: BufferedRWPair) -> bytes:
    """The line that ends a command; those of status and comments before it are passed over."""
    while (line := stream.readline(_LONGEST)) and not line.startswith((b"OK", b"ERR")):
        pass
    return line
