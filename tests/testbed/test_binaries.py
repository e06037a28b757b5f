"""Where programs are found, and how they are built."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from testbed import binaries
from testbed.__main__ import main
from testbed.processes import running, wait_until

STUB = """#!/bin/sh
[ "$1" = env ] && { echo go1.26.0; exit; }
echo "$@" >> "$STUB_LOG"
echo example.com/one >&2
[ -n "$STUB_FAILS" ] && { echo "boom: undefined: x" >&2; exit 1; }
[ -n "$STUB_WAITS" ] && { echo $$ > "$STUB_WAITS"; exec sleep 600; }
out="$GOBIN"; made=
while [ $# -gt 0 ]; do
    case "$1" in
        -o) out="$2"; shift ;;
        -*) ;;
        *.*/*) made="$made $(echo "${1%@*}" | sed 's,/v[0-9]*$,,; s,.*/,,')" ;;
    esac
    shift
done
mkdir -p "$out"; for each in $made; do echo '#!/bin/sh' > "$out/$each"; chmod +x "$out/$each"; done
"""


@pytest.fixture(autouse=True)
def stub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for the go command, an empty cache, and a log of what was built."""
    go = tmp_path / "path" / "go"
    go.parent.mkdir()
    go.write_text(STUB)
    go.chmod(0o755)
    log = tmp_path / "log"
    monkeypatch.setenv("PATH", f"{go.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("STUB_LOG", str(log))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("SIGNET_TESTBED_BIN", raising=False)
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    return log


def ready(folder: Path, name: str) -> Path:
    folder.mkdir(exist_ok=True)
    program = folder / name
    program.touch(mode=0o755)
    return program


@pytest.mark.parametrize("name", ["age", "etcd"])
def test_a_program_is_built_once(name: str, stub: Path, tmp_path: Path) -> None:
    reports: list[binaries.Progress] = []
    first = binaries.path(name, reports.append)
    assert os.access(first, os.X_OK)
    assert first.parent == tmp_path / "cache" / "signet" / "testbed"
    assert first.name.startswith(f"{name}-{binaries.PROGRAMS[name].version}-")
    assert binaries.path(name, reports.append) == first
    assert len(stub.read_text().splitlines()) == 1
    assert [each.done for each in reports if each.done] == [True]
    assert reports[-1].packages == 1


def test_what_few_tests_need_is_built_by_name_and_not_with_all(stub: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["build", "gitea"]) == 0
    name, _, found = capsys.readouterr().out.strip().partition("\t")
    assert (name, Path(found).name.partition("-v")[0]) == ("gitea", "gitea")
    assert stub.read_text().strip().endswith("signet.invalid/testbed/gitea")
    assert "gitea" not in binaries.ALL
    with pytest.raises(SystemExit):
        main(["up", "gitea"])


def test_what_is_missing_of_one_module_is_built_by_one_call(stub: Path) -> None:
    names = ["etcd", "kube-apiserver", "kwok"]
    reports: list[binaries.Progress] = []
    made = binaries.build(["age", *names], reports.append)
    assert binaries.missing(["age", *names]) == []
    assert [made[name].name.partition("-v")[0] for name in names] == names
    calls = stub.read_text().splitlines()
    assert len(calls) == 2
    assert calls[1].endswith("etcd/server/v3 k8s.io/kubernetes/cmd/kube-apiserver sigs.k8s.io/kwok/cmd/kwok")
    assert [each.names for each in reports if each.done] == ["age", "etcd, kube-apiserver, kwok"]
    binaries.build(["etcd", "kube-controller-manager"], lambda _: None)
    assert stub.read_text().splitlines()[2].endswith("cmd/kube-controller-manager")


def test_only_what_is_missing_is_named() -> None:
    assert "age" in binaries.missing()
    binaries.path("age", lambda _: None)
    assert "age" not in binaries.missing()
    assert "sops" in binaries.missing()


def test_a_failed_build_shows_the_compilers_words_and_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("STUB_FAILS", "1")
    with pytest.raises(binaries.BuildError, match=r"(?s)cannot build age v.*boom: undefined: x"):
        binaries.path("age", lambda _: None)
    left = {each.name for each in (tmp_path / "cache" / "signet" / "testbed").iterdir()}
    assert all(name.endswith(".lock") for name in left)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_build_ends_the_compiler_and_can_be_repeated(number: signal.Signals, tmp_path: Path) -> None:
    started = tmp_path / "started"
    env = {**os.environ, "STUB_WAITS": str(started)}
    command = [sys.executable, "-m", "testbed", "build", "age"]
    with subprocess.Popen(command, env=env, stderr=subprocess.PIPE) as build:
        assert build.stderr is not None
        assert b": building 0:00" in build.stderr.readline()
        wait_until(lambda: started.exists() and started.read_text().strip(), 20, "compiler started")
        compiler = int(started.read_text())
        build.send_signal(number)
        build.wait(20)
    wait_until(lambda: not running(compiler), 15, "compiler gone")
    made = binaries.path("age", lambda _: None)
    assert {each.name for each in made.parent.iterdir()} == {made.name, f"{made.name}.lock"}


def test_two_processes_do_not_build_the_same_program_twice(stub: Path) -> None:
    command = [sys.executable, "-m", "testbed", "build", "age"]
    builds = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) for _ in range(2)]
    outputs = {build.communicate(timeout=60)[0] for build in builds}
    assert [build.returncode for build in builds] == [0, 0]
    assert len(outputs) == 1
    assert len(stub.read_text().splitlines()) == 1


@pytest.mark.parametrize(
    ("variable", "name", "found"),
    [
        ("SIGNET_TESTBED_BIN", "sops", True),
        ("KUBEBUILDER_ASSETS", "kube-apiserver", True),
        ("KUBEBUILDER_ASSETS", "sops", False),
    ],
)
def test_ready_programs_are_used(
    variable: str, name: str, found: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = ready(tmp_path / "ready", name)
    monkeypatch.setenv(variable, str(program.parent))
    assert (name not in binaries.missing()) is found
    if found:
        assert binaries.path(name) == program


@pytest.mark.parametrize("version", ["go1.25.9", "go1.9"])
def test_an_old_go_is_refused(version: str, tmp_path: Path) -> None:
    go = tmp_path / "path" / "go"
    go.write_text(STUB.replace("go1.26.0", version))
    with pytest.raises(binaries.BuildError, match=rf"{version} is too old"):
        binaries.path("age")


@pytest.mark.parametrize("name", ["bao", "kubectl"])
def test_what_a_registry_ships_comes_from_the_environment(name: str, stub: Path) -> None:
    assert os.access(binaries.path(name), os.X_OK)
    assert not stub.exists()


def test_kubectl_has_the_version_of_the_api_server() -> None:
    shown = subprocess.run(
        [binaries.path("kubectl"), "version", "--client"], capture_output=True, text=True, check=True
    )
    assert f"Client Version: {binaries.PROGRAMS['kube-apiserver'].version}" in shown.stdout.splitlines()
