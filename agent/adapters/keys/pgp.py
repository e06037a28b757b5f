"""PGP secret keys through GnuPG.

The agent gives a home of its own on memory-backed storage, mode 0700, and imports keys without a passphrase; the command line uses the
user's home, where gpg-agent asks for passphrases. Only gpg's status lines are read (doc/DETAILS in its source), and nothing that it
prints is repeated: it quotes user ids and packets, which are any text of a file.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import signal
import stat
from pathlib import Path
from typing import TYPE_CHECKING, LiteralString

from agent.adapters.bounds import children
from agent.adapters.keys import gpg_homes, pgp_packets
from agent.adapters.keys.credential import data_key_bytes, key_bytes
from agent.adapters.keys.gpg_process import Gpg, Status
from agent.sops.format.keys import PgpKey, PgpRecipient
from agent.values.errors import ConfigError, DataKeyError, LimitError
from agent.values.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from gnupg import StatusHandler

    from agent.sops.format.keys import Recipient, WrappedKey

_FINGERPRINT = re.compile(r"(0x)?([0-9A-Fa-f]{16}|[0-9A-Fa-f]{40}|[0-9A-Fa-f]{64})!?")
# A wrapped key is small, and the message comes from a file: no more of it is unpacked, and no keyserver is asked.
_OFFLINE = ["--no-auto-key-retrieve", "--disable-dirmngr"]
_SMALL = ["--max-output", "4096", *_OFFLINE]
_UNATTENDED_SECONDS = 30.0
_CPU_SECONDS = 20
_ATTENDED_SECONDS = 300.0

_NO_GPG: LiteralString = "gpg is not installed, or does not run"
_NO_GPG_HINT: LiteralString = "install GnuPG 2.2 or later; SOPS_GPG_EXEC names its program"
_TOO_MUCH: LiteralString = "gpg needs more memory or CPU time than its limit"
_OUT_OF_MEMORY = re.compile(r"out of (core|memory)|cannot allocate memory|can't allocate", re.IGNORECASE)
_NO_PROMPT: LiteralString = "the key has a passphrase, and there is no way to ask for it"
_NOT_GIVEN: LiteralString = "the passphrase was not given"
_DECRYPT_REASONS: dict[int, LiteralString] = {
    11: "the passphrase is wrong",  # BAD_PASSPHRASE
    17: "gpg has no secret key for it",  # NO_SECKEY
    62: _NOT_GIVEN,  # TIMEOUT
    77: "gpg-agent does not run",  # NO_AGENT
    85: _NO_PROMPT,  # NO_PIN_ENTRY
    86: _NO_PROMPT,  # PIN_ENTRY
    87: "the PIN is wrong",  # BAD_PIN
    99: _NOT_GIVEN,  # CANCELED
    112: "the smart card is not inserted",  # CARD_NOT_PRESENT
    177: _NO_PROMPT,  # NO_PASSPHRASE
    198: _NOT_GIVEN,  # FULLY_CANCELED
    16383: _NOT_GIVEN,  # EOF: pinentry ended
    32870: _NO_PROMPT,  # ENOTTY
}
"""By the code of libgpg-error, without its source."""
_UNUSABLE: dict[str, LiteralString] = {"e": "the PGP key has expired", "r": "the PGP key is revoked"}


class PgpKeys:
    """The secret keys of one GnuPG home; None is the user's."""

    def __init__(self, home: Path | None, *, binary: str = "gpg") -> None:
        """Raises ConfigError where others can read `home`."""
        if home is not None and stat.S_IMODE(home.stat().st_mode) & 0o077:
            raise ConfigError("the GnuPG home can be read by others", hint="chmod 0700", home=str(home))
        self._home = home
        self._binary = binary
        self._gpg: Gpg | None = None

    def __repr__(self) -> str:
        return f"PgpKeys({self._home})"

    def import_key(self, armored: Secret, *, most: int | None = None) -> tuple[str, ...]:
        """Take secret keys into the home; their fingerprints.

        Raises ConfigError where there is none, or no gpg, and LimitError for more than `most` secret keys and subkeys.
        """
        try:
            packets, count = pgp_packets.secret_keys(key_bytes(armored))
        except ValueError:
            packets, count = b"", 0
        if most is not None and count > most:
            raise LimitError(
                "more private keys than are tried",
                hint="limits.identities in the operator's file is the limit for one Application",
                source=armored.label,
                limit=most,
            )
        try:
            result = self._run(lambda gpg: gpg.import_keys(packets))
        except DataKeyError:
            raise ConfigError("gpg does not run", hint=_NO_GPG_HINT, source=armored.label) from None
        # The lowest five bits say what changed, the next whether it is a secret key.
        found = {fields[1] for fields in result.fields("IMPORT_OK") if len(fields) > 1 and int(fields[0]) & 16}
        if _limited(result):
            raise ConfigError(
                _TOO_MUCH, hint="export the secret keys that open files, and no others", source=armored.label
            )
        if not found:
            raise ConfigError(
                "no PGP secret key in this text", hint="gpg --armor --export-secret-keys", source=armored.label
            )
        return tuple(sorted(found))

    def unwrap(self, key: WrappedKey) -> Secret:
        """By a secret key of the home. Raises DataKeyError."""
        if not isinstance(key, PgpKey):
            raise DataKeyError("not a PGP key")
        message = io.BytesIO(key.enc.encode("utf-8", "surrogateescape"))
        result = self._run(lambda gpg: gpg.decrypt_file(message, extra_args=_SMALL))
        # That it was decrypted may have been said before the output limit was met.
        if result.returncode == 0 and result.fields("DECRYPTION_OKAY") and result.data:
            return Secret(result.data, f"data key by pgp {key.fp}")
        reason = _why_closed(result)
        hint: LiteralString = "unlock it in gpg-agent, or on a terminal: export GPG_TTY=$(tty)"
        raise DataKeyError(reason, hint=hint if reason is _NO_PROMPT else "")

    def wrap(self, recipient: Recipient, data_key: Secret, *, created_at: str) -> PgpKey:
        """For a public key of the home, trusted because a person named its fingerprint. Raises DataKeyError."""
        if not isinstance(recipient, PgpRecipient):
            raise DataKeyError("not a PGP recipient")
        name = recipient.fingerprint
        if not _FINGERPRINT.fullmatch(name):
            raise DataKeyError("not a PGP fingerprint", hint="gpg --list-keys shows it: 40 hex digits", recipient=name)
        plain = io.BytesIO(data_key_bytes(data_key))
        options = ["--no-encrypt-to", "--no-default-recipient", "--yes", *_OFFLINE]
        result = self._run(lambda gpg: gpg.encrypt_file(plain, name, always_trust=True, extra_args=options))
        if result.returncode != 0 or not result.fields("END_ENCRYPTION"):
            raise DataKeyError(self._why_not(name), recipient=name)
        return PgpKey(name, created_at, result.data.decode().strip())

    def _why_not(self, name: str) -> LiteralString:
        """Why gpg does not encrypt for a key, by the validity that a listing shows."""
        with self._turn():
            listed = self._started().list_keys(keys=name)
        if not listed:
            return "the PGP key is not in the keyring"
        for key in listed:
            if key["trust"] in _UNUSABLE:
                return _UNUSABLE[str(key["trust"])]
        return "the PGP key is not one for encryption"

    def _run(self, work: Callable[[Gpg], StatusHandler]) -> Status:
        """One run of gpg. Raises DataKeyError where it does not start, or does not end."""
        with self._turn():
            gpg = self._started()
            try:
                result = work(gpg)
            except OSError:
                raise DataKeyError("gpg exited before it had read its input") from None
        assert isinstance(result, Status)
        if result.returncode == -signal.SIGTERM:
            raise DataKeyError("gpg does not answer in time", hint="it may be waiting for a passphrase")
        return result

    def _started(self) -> Gpg:
        """Raises DataKeyError where gpg does not run."""
        if self._gpg is None:
            try:
                self._gpg = self._start()
            except (OSError, ValueError):
                raise DataKeyError(_NO_GPG, hint=_NO_GPG_HINT, binary=self._binary) from None
        return self._gpg

    def _start(self) -> Gpg:
        if self._home is None:
            seconds = _ATTENDED_SECONDS if _attended() else _UNATTENDED_SECONDS
            return Gpg(self._binary, None, options=[], environment=_environment(), seconds=seconds, bounded=list)
        return Gpg(
            self._binary,
            str(self._home),
            options=["--pinentry-mode", "error"],  # a key under a passphrase must fail, not wait
            environment=children.environment(),
            seconds=_UNATTENDED_SECONDS,
            bounded=_bounded,
        )

    @contextlib.contextmanager
    def _turn(self) -> Generator[None]:
        """The user's own gpg has all the turns and as much of an agent as the user likes."""
        if self._home is None:
            yield
            return
        with _HOMES.use(self._home):
            gpg_homes.launch(self._home, _gpgconf(self._binary))
            yield

    def close(self) -> None:
        """End the gpg-agent of a home of our own. The user's stays."""
        if self._home is not None:
            _HOMES.forget(self._home)


def _gpgconf(binary: str = "gpg") -> str:
    return shutil.which("gpgconf", path=str(Path(shutil.which(binary) or "gpg").parent)) or "gpgconf"


_HOMES = gpg_homes.Homes(lambda home: gpg_homes.end(home, _gpgconf()))


def _bounded(command: list[str]) -> list[str]:
    return children.bounded(command, address_space=gpg_homes.ADDRESS_SPACE, cpu_seconds=_CPU_SECONDS)


def _limited(result: Status) -> bool:
    """Whether gpg ended because it may take no more."""
    own = "\n".join(line for line in result.stderr.splitlines() if line.startswith("gpg: "))
    killed = result.returncode in {-signal.SIGXCPU, -signal.SIGKILL}
    return result.returncode != 0 and (killed or _OUT_OF_MEMORY.search(own) is not None)


def _why_closed(result: Status) -> LiteralString:
    if _limited(result):
        return _TOO_MUCH
    for fields in result.fields("ERROR"):
        if fields[:1] == ["pkdecrypt_failed"] and fields[1:2] and fields[1].isdecimal():
            code = int(fields[1]) & 0xFFFF
            if code in _DECRYPT_REASONS:
                return _DECRYPT_REASONS[code]
    return "gpg has no secret key for it" if result.fields("NO_SECKEY") else "gpg does not decrypt it"


def _terminal() -> str:
    """The terminal of this process, if it has one."""
    for descriptor in (0, 1, 2):
        with contextlib.suppress(OSError):
            return os.ttyname(descriptor)
    return ""


def _attended() -> bool:
    return bool(_terminal() or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _environment() -> dict[str, str] | None:
    """Gives gpg-agent the terminal to ask at: gpg itself finds no terminal, since it reads from a pipe."""
    terminal = _terminal()
    return {**os.environ, "GPG_TTY": terminal} if terminal and not os.environ.get("GPG_TTY") else None
