"""Where signet-render is: beside this module, where wheels for Linux and macOS have it and `make build` links it."""

from __future__ import annotations

import os
from pathlib import Path

from agent.values.errors import ConfigError

_BESIDE = Path(__file__).with_name("signet-render")


def program(named: str = "") -> Path:
    """The program, or the one that is named in its place. Raises ConfigError."""
    found = Path(named) if named else _BESIDE
    if not os.access(found, os.X_OK) or not found.is_file():
        raise ConfigError(
            "signet-render, which builds kustomizations, is not installed",
            hint="install the wheel for Linux or macOS; in a checkout, make build puts it there, which takes Go 1.26 or newer",
            file=str(found),
        )
    return found.absolute()
