"""The demo's application: examples/shop with keys and secret values that were made for this run, in a developer's work tree."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from typing import TYPE_CHECKING

from testbed.agent import ROOT
from testbed.demo.show import expect

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

ENVIRONMENTS = ("dev", "staging", "prod")
EXAMPLE = ROOT / "examples" / "shop"
_PLACEHOLDER = "CHANGE-ME"


class Command:
    """What a command printed and how it ended. `line` is how a person would have typed it."""

    def __init__(self, line: str, done: subprocess.CompletedProcess[bytes]) -> None:
        self.line: str = line
        self.code: int = done.returncode
        self.out: str = done.stdout.decode(errors="replace")
        self.err: str = done.stderr.decode(errors="replace").strip()


class Developer:
    """A developer with a work tree of the shop, keys of their own, and the `agent` command.

    `values` holds every secret of the run by a label that is safe to show. `folder` is made.
    """

    def __init__(self, folder: Path) -> None:
        self.folder: Path = folder
        self.tree: Path = folder / "shop"
        self.keys: Path = folder / "keys"
        self.gnupg: Path = folder / "gnupg"
        self.values: dict[str, str] = {}
        self.recipients: dict[str, str] = {}
        for made in (folder, self.tree, self.keys, self.gnupg):
            made.mkdir(mode=0o700)

    def agent(
        self,
        *arguments: str,
        keys: Sequence[Path] = (),
        input: str = "",  # noqa: A002
        environment: Mapping[str, str] | None = None,
    ) -> Command:
        """Run `agent` in the work tree, with these private keys and those in gpg, or in an `environment`."""
        own = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "GNUPGHOME": str(self.gnupg),
            "SOPS_AGE_KEY": "".join(path.read_text() for path in keys),
        }
        return self._run("agent", [sys.executable, "-m", "agent.cli.main"], arguments, environment or own, input)

    def program(self, path: Path, *arguments: str, keys: Sequence[Path] = ()) -> Command:
        """Run another program in the same place."""
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "GNUPGHOME": str(self.gnupg)}
        keyring = {"SOPS_AGE_KEY": "".join(key.read_text() for key in keys)} if keys else {}
        return self._run(path.name, [str(path)], arguments, environment | keyring, "")

    def make_age_key(self, name: str) -> Path:
        """A key by `agent keygen`; its recipient goes to `recipients`."""
        path = self.keys / f"{name}.agekey"
        made = self.agent("keygen", "-o", str(path))
        expect(made.code == 0, "agent keygen makes a key", made.err)
        expect(path.stat().st_mode & 0o077 == 0, "a key file that only its owner reads", oct(path.stat().st_mode))
        self.recipients[name] = made.err.removeprefix("Public key: ")
        expect(self.recipients[name].startswith("age1"), "a recipient age1…", made.err)
        self.values[f"the age key of {name}"] = path.read_text().splitlines()[-1]
        return path

    def make_pgp_key(self, name: str) -> Path:
        """A key by gpg without a passphrase, exported for the agent; its fingerprint goes to `recipients`."""
        gpg = ["gpg", "--homedir", str(self.gnupg), "--batch", "--quiet", "--pinentry-mode", "loopback"]
        made = [*gpg, "--passphrase", "", "--quick-generate-key", f"{name} <{name}@example.com>", "future-default"]
        _ = subprocess.run([*made, "default", "never"], check=True, capture_output=True)
        listing = subprocess.run([*gpg, "--list-keys", "--with-colons"], check=True, capture_output=True, text=True)
        lines = [line.split(":") for line in listing.stdout.splitlines()]
        self.recipients[name] = next(fields[9] for fields in lines if fields[0] == "fpr")
        path = self.keys / f"{name}.asc"
        path.touch(mode=0o600)
        exported = subprocess.run([*gpg, "--armor", "--export-secret-keys"], check=True, capture_output=True, text=True)
        _ = path.write_text(exported.stdout)
        body = [line for line in exported.stdout.splitlines() if len(line) == 64]
        self.values[f"the PGP key of {name}"] = body[1]
        return path

    def close(self) -> None:
        """End the gpg-agent that gpg left behind."""
        _ = subprocess.run(["gpgconf", "--homedir", str(self.gnupg), "--kill", "all"], check=False, capture_output=True)

    def secret(self, label: str) -> str:
        """A new value that no encoding leaves as it is."""
        self.values[label] = f'{secrets.token_urlsafe(9)} "{secrets.token_hex(4)}"\\<&+é/{secrets.token_urlsafe(6)}'
        return self.values[label]

    def check_out(self) -> None:
        """Copy the example, with recipients in `.sops.yaml` and fresh values in the templates of secrets."""
        for path in sorted(EXAMPLE.rglob("*")):
            target = self.tree / path.relative_to(EXAMPLE)
            if path.is_dir():
                target.mkdir(exist_ok=True)
            elif path.suffix == ".template":
                self._fill(path, target.with_suffix(""))
            elif path.suffix in (".yaml", ".md"):
                _ = target.write_text(path.read_text("utf-8"), "utf-8")
        rules = self.tree / ".sops.yaml"
        text = rules.read_text("utf-8")
        for name in ENVIRONMENTS:
            for kind in ("AGE-RECIPIENT", "PGP-FINGERPRINT"):
                text = text.replace(f"{kind}-OF-{name.upper()}", self.recipients[name])
        _ = rules.write_text(text, "utf-8")

    def files(self) -> dict[str, bytes]:
        """The work tree, for a commit."""
        found = sorted(path for path in self.tree.rglob("*") if path.is_file())
        return {path.relative_to(self.tree).as_posix(): path.read_bytes() for path in found}

    def _fill(self, template: Path, target: Path) -> None:
        lines: list[str] = []
        for line in template.read_text("utf-8").splitlines():
            key, _, value = line.partition(": ")
            label = f"{target.relative_to(self.tree)}#{key.strip()}"
            lines.append(f"{key}: {quoted(self.secret(label))}" if value == _PLACEHOLDER else line)
        _ = target.write_text("\n".join(lines) + "\n", "utf-8")

    def _run(
        self, name: str, program: Sequence[str], arguments: Sequence[str], environment: Mapping[str, str], given: str
    ) -> Command:
        done = subprocess.run(
            [*program, *arguments],
            cwd=self.tree,
            env=environment,
            input=given.encode(),
            capture_output=True,
            check=False,
            timeout=60,
        )
        return Command(" ".join(["$", name, *arguments]), done)


def quoted(text: str) -> str:
    """A YAML scalar in single quotes."""
    return "'" + text.replace("'", "''") + "'"


def secret_manifest(name: str, **values: str) -> str:
    """A plain v1/Secret, as a developer writes it before it is encrypted."""
    lines = [f"  {key}: {quoted(value)}" for key, value in values.items()]
    return "\n".join(["apiVersion: v1", "kind: Secret", "metadata:", f"  name: {name}", "stringData:", *lines, ""])
