"""Builds signet-render: one command and one cache for the wheel's build hook, for `make build` and for the tests.

Standard library alone, since pip runs the hook where nothing else is. `python render/build.py` builds what is missing and puts it
beside the package, where `agent` looks for it.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

NAME = "signet-render"
KUSTOMIZE = "v5.8.2"
"""The kustomize whose library go.mod names: what it calls itself in `managedByLabel`."""
HELM = "v4.3.2"
"""The Helm whose library go.mod names."""
SOURCES = Path(__file__).resolve().parent
ENVIRONMENT = {"CGO_ENABLED": "0", "GOWORK": "off"}
"""Without cgo it is one file that needs no library of the system, on every Linux."""


def digest() -> str:
    """What names a build: a hash over the sources without their tests, 16 hex digits."""
    files = [path for path in SOURCES.iterdir() if path.suffix == ".go" or path.name in {"go.mod", "go.sum"}]
    made = hashlib.sha256()
    for path in sorted(files):
        if not path.name.endswith("_test.go"):
            content = path.read_bytes()
            made.update(f"{path.name}\0{len(content)}\0".encode() + content)
    return made.hexdigest()[:16]


def ldflags() -> str:
    """For the linker: the digest, which the program says when it is asked, kustomize's version, and no symbols."""
    return f"-s -w -X main.build={digest()} -X sigs.k8s.io/kustomize/api/provenance.version={KUSTOMIZE}"


def cached() -> Path:
    """Where a build of these sources for this machine is kept. The testbed's programs are beside it."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    system = f"{platform.system()}-{platform.machine()}".lower()
    return cache / "signet" / "testbed" / f"{NAME}-{digest()}-{system}"


def built() -> Path:
    """The program, built when it is missing. Raises RuntimeError where there is no Go, CalledProcessError where it does not build."""
    target = cached()
    if target.exists():
        return target
    go = shutil.which("go")
    if go is None:
        raise RuntimeError("go is missing: signet-render is built with Go 1.26 or newer")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as made:
        output = Path(made) / NAME
        command = [
            go,
            "build",
            "-mod=readonly",
            "-trimpath",
            "-buildvcs=false",
            f"-ldflags={ldflags()}",
            "-o",
            str(output),
            ".",
        ]
        _ = subprocess.run(command, cwd=SOURCES, env={**os.environ, **ENVIRONMENT}, check=True)  # noqa: S603
        _ = output.rename(target)
    return target


def beside(package: Path) -> Path:
    """Put the program beside the package at `agent`: a link, so that a new build is a new target."""
    link = package / "adapters" / "render" / NAME
    program = built()
    if not link.is_symlink() or link.readlink() != program:
        link.unlink(missing_ok=True)
        link.symlink_to(program)
    return link


if __name__ == "__main__":
    try:
        print(beside(SOURCES.parent / "agent"))  # noqa: T201
    except (RuntimeError, subprocess.CalledProcessError) as error:
        sys.exit(f"error: {error}")
