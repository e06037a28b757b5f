"""PGP secret keys through GnuPG.

The agent gives a home of its own on memory-backed storage, mode 0700, and imports keys without a passphrase; the command line uses the
user's home, where gpg-agent asks for passphrases. Nothing that gpg prints is repeated: it quotes user ids and packets, which are
whatever somebody put into a file.
"""

from __future__ import annotations

import re
import shutil
import stat
import subprocess  # gpgconf, with arguments of our own
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gnupg  # pyright: ignore[reportMissingTypeStubs]

from agent.adapters.keys.credential import data_key_bytes, key_text
from agent.sops.keys import PgpKey, PgpRecipient
from agent.values.errors import ConfigError, DataKeyError
from agent.values.secret import Secret

if TYPE_CHECKING:
    from agent.sops.keys import Recipient, WrappedKey

# At DEBUG it prints parts of what it reads, and of what it decrypts.
gnupg.logger.disabled = True

_FINGERPRINT = re.compile(r"(0x)?([0-9A-Fa-f]{16}|[0-9A-Fa-f]{40}|[0-9A-Fa-f]{64})!?")
# A wrapped key is small, and the message comes from a file: no more of it is unpacked, and nobody is asked over the network.
_SAFE = ["--max-output", "4096", "--no-auto-key-retrieve", "--disable-dirmngr"]


class PgpKeys:
    """The secret keys of one GnuPG home; None is the user's."""

    def __init__(self, home: Path | None, *, binary: str = "gpg") -> None:
        """Raises ConfigError where gpg is missing, or where others can read `home`."""
        if home is not None and stat.S_IMODE(home.stat().st_mode) & 0o077:
            raise ConfigError("the GnuPG home can be read by others", hint="chmod 0700", home=str(home))
        self._home = home
        self._binary = binary
        # Nobody sits at the agent's terminal: a key under a passphrase must fail, not wait.
        options = [] if home is None else ["--pinentry-mode", "error"]
        try:
            self._gpg: Any = gnupg.GPG(gpgbinary=binary, gnupghome=None if home is None else str(home), options=options)
        except (OSError, ValueError):
            raise ConfigError("gpg does not run", hint="install GnuPG 2.2 or later", binary=binary) from None

    def __repr__(self) -> str:
        return f"PgpKeys({self._home})"

    def import_key(self, armored: Secret) -> tuple[str, ...]:
        """Take secret keys into the home; their fingerprints. Raises ConfigError where there is none."""
        try:
            result = self._gpg.import_keys(key_text(armored).encode())
        except (OSError, ValueError):
            raise ConfigError("gpg does not run", source=armored.label) from None
        found = {str(entry["fingerprint"]) for entry in result.results if entry.get("fingerprint")}
        if not found or not int(result.sec_read or 0):
            raise ConfigError(
                "no PGP secret key in this text", hint="gpg --armor --export-secret-keys", source=armored.label
            )
        return tuple(sorted(found))

    def unwrap(self, key: WrappedKey) -> Secret:
        """By a secret key of the home. Raises DataKeyError."""
        if not isinstance(key, PgpKey):
            raise DataKeyError("not a PGP key")
        try:
            result = self._gpg.decrypt(key.enc.encode(), extra_args=_SAFE)
        except (OSError, ValueError):
            raise DataKeyError("gpg does not run") from None
        # "ok" alone may have been said before the output limit was met.
        if not result.ok or result.returncode != 0:
            if result.status == "no secret key":
                raise DataKeyError("gpg has no secret key for it")
            raise DataKeyError("gpg does not decrypt it")
        return Secret(bytes(result.data), f"data key by pgp {key.fp}")

    def wrap(self, recipient: Recipient, data_key: Secret, *, created_at: str) -> PgpKey:
        """For a public key of the home, trusted because a person named its fingerprint. Raises DataKeyError."""
        if not isinstance(recipient, PgpRecipient):
            raise DataKeyError("not a PGP recipient")
        if not _FINGERPRINT.fullmatch(recipient.fingerprint):
            raise DataKeyError(
                "not a PGP fingerprint", hint="gpg --list-keys shows it: 40 hex digits", recipient=recipient.fingerprint
            )
        try:
            result = self._gpg.encrypt(
                data_key_bytes(data_key), [recipient.fingerprint], always_trust=True, extra_args=["--no-encrypt-to"]
            )
        except (OSError, ValueError):
            raise DataKeyError("gpg does not run") from None
        if not result.ok or result.returncode != 0:
            raise DataKeyError(
                "gpg does not encrypt for this key",
                hint="is its public key imported, and neither expired nor revoked?",
                recipient=recipient.fingerprint,
            )
        return PgpKey(recipient.fingerprint, created_at, bytes(result.data).decode().strip())

    def close(self) -> None:
        """End the gpg-agent of a home of our own. The user's stays."""
        gpgconf = shutil.which("gpgconf", path=str(Path(shutil.which(self._binary) or "gpg").parent)) or "gpgconf"
        if self._home is not None:
            subprocess.run(  # noqa: S603
                [gpgconf, "--homedir", str(self._home), "--kill", "all"],
                check=False,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=10,
            )
