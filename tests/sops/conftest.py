"""The real sops, with one age key, as the judge of both directions."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from agent.adapters.keys import age
from agent.adapters.keys.age import AgeKeys
from agent.values.reveal import reveal
from testbed import binaries

if TYPE_CHECKING:
    from pathlib import Path

    from agent.values.secret import Secret


@dataclass(frozen=True)
class Sops:
    """Runs sops in a folder of its own, where nothing of the user's environment reaches it."""

    folder: Path
    recipient: str
    identity: Secret

    def run(self, *arguments: str, name: str, data: bytes) -> subprocess.CompletedProcess[bytes]:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "SOPS_AGE_KEY": str(reveal(self.identity)),
        }
        return subprocess.run(
            [binaries.path("sops"), "--disable-version-check", *arguments, name],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            check=False,
        )

    def encrypt(self, data: bytes, name: str, **rule: str | bool) -> bytes:
        """`rule` is what stands in the rule of `.sops.yaml`: sops has no flag for some selectors."""
        config = self.folder / "rule.yaml"
        config.write_text(json.dumps({"creation_rules": [{"age": self.recipient, **rule}]}))
        done = self.run("--config", str(config), "encrypt", name=name, data=data)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    def decrypt(self, data: bytes, name: str, *flags: str) -> bytes:
        done = self.run("decrypt", *flags, name=name, data=data)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    @property
    def keys(self) -> AgeKeys:
        return AgeKeys.parse(self.identity, source="test")


@pytest.fixture(scope="session")
def sops(tmp_path_factory: pytest.TempPathFactory) -> Sops:
    recipient, identity = age.generate()
    return Sops(tmp_path_factory.mktemp("sops"), recipient, identity)
