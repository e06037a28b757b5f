"""The kernel ends the whole container when all of it is over its memory limit: so the limits of all that may run in it fit, as a sum."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from agent.adapters.git import command, mirrors
from agent.adapters.keys import gpg_homes
from agent.api.operator import Limits
from agent.installation import objects
from agent.installation.choices import Choices, Mode

ROOT = Path(__file__).resolve().parents[2]
MIB = 1024 * 1024
UNITS = {"Mi": MIB, "Gi": 1024 * MIB}
AGENT = 512 * MIB
"""What is left for the agent itself, which takes some 90 MiB at rest. docs/threat-model.md says what it grows with."""
WAITING = 8 * MIB
"""For what of one command of git reads nothing from a server: the git that waits for `remote-https`, the shell that hands on a password."""


def size(text: str) -> int:
    return int(text[:-2]) * UNITS[text[-2:]]


@pytest.mark.parametrize("mode", [Mode.DEPLOYMENT, Mode.DAEMON_SET])
def test_the_agent_and_all_that_it_starts_fit_the_container(mode: Mode) -> None:
    pod = objects.of(Choices(mode=mode))[-1]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    volumes = [each["emptyDir"] for each in pod["volumes"] if each.get("emptyDir", {}).get("medium") == "Memory"]
    parts = {
        "agent": AGENT,
        "git": mirrors.WORKERS * (command.PROCESSES * Limits().git_bytes + WAITING),
        "renderers": Limits().render.processes * Limits().render.memory_bytes,
        "gpg": (gpg_homes.GPGS + gpg_homes.AGENTS) * gpg_homes.ADDRESS_SPACE,
        "volumes": sum(size(each["sizeLimit"]) for each in volumes),
    }
    assert sum(parts.values()) <= size(container["resources"]["limits"]["memory"]), parts


def test_nothing_else_is_started() -> None:
    """By the agent; the commands for people run what these ask for."""
    starting: set[str] = set()
    for path in (ROOT / "agent").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [each.name for each in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            if isinstance(node, ast.Attribute) and node.attr.startswith(
                ("create_subprocess", "spawn", "posix_spawn", "fork")
            ):
                names.append("subprocess")
            if any(name.partition(".")[0] in {"gnupg", "subprocess", "multiprocessing", "pty"} for name in names):
                starting.add(str(path.relative_to(ROOT / "agent")))
    assert {name for name in starting if not name.startswith("cli/")} == {
        "adapters/git/command.py",
        "adapters/git/signers.py",  # in the turn of a git, with less memory than one of its processes
        "adapters/git/reading.py",  # the type of what command started
        "adapters/keys/gpg_homes.py",
        "adapters/keys/gpg_process.py",
        "adapters/keys/pgp.py",  # the type of what gpg_process gives
        "adapters/render/process.py",
    }
