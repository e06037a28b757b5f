"""Help is fast, teaches, and loads nothing that it does not need."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from agent.api import names
from agent.cli.registry import COMMANDS, SECRETS
from render import build

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Shell

HEAVY = ("pydantic", "kubernetes", "aiohttp", "hvac", "requests", "git", "agent.daemon", "agent.api", "agent.engine")
NAMES = {"agent.api", "agent.api.names"}
"""Constants alone."""
CLEAN = [
    ["--help"],
    ["version"],
    *([name, "--help"] for name in COMMANDS),
    ["keygen"],
    ["decrypt", "missing.yaml"],
    ["encrypt", "--age", "RECIPIENT", "plain.yaml"],
    ["decrypt", "secret.yaml"],
]


SLOW = {
    *(
        "ast",
        "base64",
        "dataclasses",
        "datetime",
        "fnmatch",
        "hashlib",
        "inspect",
        "json",
        "pathlib",
        "shutil",
        "struct",
        "subprocess",
        "tempfile",
        "tokenize",
    ),
    *("re2", "yaml", "pyrage", "threading", "random", "math"),
    *("cryptography.x509", "cryptography.hazmat.backends", "cryptography.hazmat.decrepit"),
    *(f"cryptography.hazmat.primitives.{each}" for each in ("asymmetric", "ciphers", "kdf", "serialization")),
    *(
        "agent.sops.stores.dotenv",
        "agent.sops.stores.ini",
        "agent.gitmerge.attributes",
        "agent.yaml.read.json",
        "agent.yaml.read.events",
    ),
    *("agent.adapters.keys.age_hybrid", "agent.adapters.keys.age_identities", "agent.adapters.keys.age_plugin"),
    *("agent.adapters.keys.age_scrypt", "agent.adapters.keys.age_ssh"),
    *("agent.adapters.keys.pgp", "agent.adapters.keys.transit"),
    *("agent.values.errors.engine", "agent.values.errors.manifests"),
    *("agent.values.errors.rendering", "agent.values.errors.servers"),
    "agent.cli.exit_codes",
    "agent.cli.applications.worktree",
}
"""What would take milliseconds to load, and a small YAML file under an age key needs nothing of."""
PLACE = '["stringData"]["password"]'
NEEDED: dict[tuple[str, ...], set[str]] = {
    ("decrypt", "secret.yaml"): set(),
    ("decrypt", "--extract", PLACE, "secret.yaml"): set(),
    ("encrypt", "plain.yaml"): set(),
    ("encrypt", "-i", "plain.yaml"): set(),
    ("rotate", "-i", "secret.yaml"): set(),
    ("filestatus", "secret.yaml"): set(),
    ("verify", "secret.yaml"): {"agent.cli.exit_codes", "agent.values.errors.manifests"},
    ("updatekeys", "-y", "secret.yaml"): set(),
    ("set", "secret.yaml", PLACE, '"new"'): {"json", "agent.yaml.read.json"},
    ("exec-env", "--same-process", "variables.yaml", "true"): {"math", "subprocess", "threading"},
    ("keygen",): set(),
}


@pytest.mark.parametrize("arguments", NEEDED, ids=" ".join)
def test_a_small_file_loads_only_what_it_needs(shell: Shell, arguments: tuple[str, ...]) -> None:
    shell.write(".sops.yaml", f"creation_rules:\n  - age: {shell.recipient}\n")
    shell.write("plain.yaml", "# a comment\nstringData:\n  password: hunter2\n  port: 5432\n  list:\n    - 1.5\n")
    shell.write("secret.yaml", shell.agent("encrypt", "plain.yaml").out)
    shell.write("variables.yaml", shell.agent("encrypt", "--filename-override", "a.yaml", stdin=b"A: b\n").out)
    script = (
        "import sys; before = set(sys.modules); from agent.cli.main import main; import os\n"
        "def tell(*_): os.write(2, ('\\n' + ' '.join({*sys.modules} - before)).encode()); os._exit(0)\n"
        "os.execvpe = os.execve = tell\n"
        "code = main(sys.argv[1:])\n"
        "code and sys.exit(code)\n"
        "tell()"
    )
    done = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, check=True)
    loaded = set(done.stderr.decode().splitlines()[-1].split())
    assert "agent.cli.main" in loaded
    assert {slow for slow in SLOW for name in loaded if f"{name}.".startswith(f"{slow}.")} == NEEDED[arguments]


@pytest.mark.parametrize("arguments", CLEAN, ids=" ".join)
def test_the_sops_family_and_help_load_nothing_heavy(shell: Shell, arguments: list[str]) -> None:
    shell.write("plain.yaml", "a: 1\n")
    shell.write("secret.yaml", shell.agent("encrypt", "--age", shell.recipient, "plain.yaml").out)
    arguments = [shell.recipient if each == "RECIPIENT" else each for each in arguments]
    script = (
        "import json, sys; from agent.cli.main import main; main(sys.argv[1:]); "
        "sys.stderr.write('\\n' + json.dumps(sorted(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, check=True)
    loaded = json.loads(done.stderr.decode().splitlines()[-1])
    assert not [name for name in loaded if name.startswith(HEAVY) and name not in NAMES]
    if arguments == ["--help"]:
        assert not [name for name in loaded if name.startswith(("yaml", "cryptography", "pyrage", "re2", "agent.sops"))]


def test_garbage_is_looked_for_once_the_command_is_loaded() -> None:
    script = "import gc, sys; from agent.__main__ import main; before = gc.isenabled(); main(['version']); sys.exit(before or not gc.isenabled())"
    subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)


def test_help_names_every_command(shell: Shell) -> None:
    text = shell.agent("--help").out.decode()
    for name, command in COMMANDS.items():
        assert f"  {name} " in text
        assert command.help in text
    assert shell.agent("help").out.decode() == text
    assert shell.agent().code == 2


@pytest.mark.parametrize("name", SECRETS)
def test_a_command_s_help_has_examples(shell: Shell, name: str) -> None:
    result = shell.agent(name, "--help")
    assert result.code == 0
    assert f"agent {name}" in result.out.decode().split("examples:")[1]


@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_help_says_the_purpose_first_and_keeps_to_the_terminal(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    for columns in (60, 80, 100, 200):
        monkeypatch.setenv("COLUMNS", str(columns))
        text = shell.agent(*([name] if name else []), "--help").out.decode()
        assert text.index("usage: agent") > 0
        assert text[0].isupper() or text.startswith("verify says")
        too_long = [line for line in text.splitlines() if len(line) > columns]
        # A command is copied as it stands, so it stays in one piece.
        assert [line for line in too_long if not _is_command(line)] == []
        assert not text.endswith("\n\n")


def _is_command(line: str) -> bool:
    return line.startswith("  ") and "  " not in line.strip()


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (["encryt", "a"], "encrypt"),
        (["stauts"], "status"),
        (["--decript", "a"], "decrypt"),
        (["encrypt", "--in-plac", "a"], "--in-place"),
        (["encrypt", "--encrypted-regx=x", "a"], "--encrypted-regex"),
        (["status", "--namspace", "shop"], "--namespace"),
        (["audit", "verfy", "a"], "verify"),
        (["migrate", "sealed-secret", "a", "--sealing-key", "b"], "sealed-secrets"),
        (["version", "-o", "jsno"], "json"),
    ],
)
def test_what_is_misspelt_gets_the_nearest_as_a_hint(shell: Shell, arguments: list[str], meant: str) -> None:
    result = shell.agent(*arguments)
    assert result.code in {1, 2}
    assert f"hint: did you mean {meant}? agent" in result.err
    assert "--help" in result.err


def test_what_is_near_nothing_gets_no_suggestion(shell: Shell) -> None:
    assert "did you mean" not in shell.agent("qqqqqq").err
    assert "did you mean" not in shell.agent("encrypt", "--qqqqqq").err


def test_what_is_no_command_or_flag(shell: Shell) -> None:
    result = shell.agent("encryt\x1b[2J")
    assert result.code == 1
    assert "\x1b" not in result.err
    result = shell.agent("encrypt", "--nonsense")
    assert result.code == 1
    assert "hint: agent encrypt --help" in result.err
    assert shell.agent("version", "--nonsense").code == 2


def test_the_version(shell: Shell) -> None:
    facts = json.loads(shell.agent("version", "-o", "json").out)
    assert facts["sops"] == "3.13.3"
    assert facts["renderer"]["kustomize"] == build.KUSTOMIZE
    assert (
        f"signet-render {facts['renderer']['build']} (kustomize {build.KUSTOMIZE})"
        in shell.agent("version").out.decode()
    )
    assert shell.agent("--version").out.startswith(b"signet ")


def test_the_version_of_what_the_agent_runs(shell: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    facts = json.loads(shell.agent("version", "-o", "json").out)
    for name in ("git", "gpg"):
        said = subprocess.run([name, "--version"], capture_output=True, text=True, check=True).stdout.splitlines()[0]
        assert facts[name] in said.split()
        assert f"{name} {facts[name]}\n" in shell.agent("version").out.decode()
    assert (facts["engine"], facts["record"]) == (names.ENGINE, names.RECORDS)
    assert facts["commit"] is None
    monkeypatch.setenv("PATH", str(tmp_path))
    assert json.loads(shell.agent("version", "-o", "json").out)["git"] is None
    assert b"no git\n" in shell.agent("version").out


def test_the_version_says_that_there_is_no_renderer(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from agent.adapters.render import location

    monkeypatch.setattr(location, "_BESIDE", tmp_path / "signet-render")
    assert json.loads(shell.agent("version", "-o", "json").out)["renderer"] is None
    said = shell.agent("version")
    assert said.code == 0
    assert b"overlays are not rendered" in said.out
    assert "hint: install the wheel for Linux or macOS" in said.err


def test_a_renderer_that_is_another_program_is_named(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from agent.adapters.render import location

    other = tmp_path / "signet-render"
    _ = other.write_text("#!/bin/sh\necho '{}'\n")
    other.chmod(0o755)
    monkeypatch.setattr(location, "_BESIDE", other)
    said = shell.agent("version")
    assert b"not the signet-render of this version" in said.out
    assert "hint: install it again" in said.err


def test_an_unforeseen_error_shows_its_place_and_no_text(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    from agent.cli.secrets import keygen

    def fail(args: object) -> int:
        raise RuntimeError("canary")

    monkeypatch.setattr(keygen, "run", fail)
    result = shell.agent("keygen")
    assert result.code == 1
    assert "internal error: RuntimeError" in result.err
    assert "test_cli_help.py" in result.err
    assert "canary" not in result.err


def test_a_reader_that_stops_reading_is_no_error() -> None:
    command = [sys.executable, "-m", "agent.cli.main", "--help"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as writer:
        assert writer.stdout
        assert writer.stderr
        writer.stdout.close()
        assert writer.wait(30) in {0, 141}
        assert writer.stderr.read() == b""
