"""The private keys of a sealed-secrets controller, from files or standard input."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.cli.files import content
from agent.values.secret import Secret

if TYPE_CHECKING:
    from agent.adapters.keys.sealed_secrets import SealingKeys

HELP = "manifests of a sealed-secrets controller's keys, or a private key in PEM; - is standard input; repeat for more"


def read(names: list[str]) -> SealingKeys:
    """The keys of `--sealing-key`. Raises FileMissingError, ReadError, ConfigError."""
    from agent.adapters.keys.sealed_secrets import SealingKeys

    texts = [(name, content.read_stdin() if name == "-" else content.read(name)) for name in names]
    return SealingKeys().merge(
        *(
            SealingKeys.parse(Secret(data, name), source="standard input" if name == "-" else name)
            for name, data in texts
        )
    )
