"""`python -m testbed up` starts every server and says how to reach it; `build` builds what is missing."""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
from pathlib import Path

from testbed import binaries
from testbed.controlplane import ControlPlane
from testbed.gitserver import GitServer
from testbed.openbao import OpenBao
from testbed.processes import ProcessError, terminated_as_interrupt

SERVERS = ("kubernetes", "openbao", "git")
_INTERRUPTED = 130


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m testbed", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    build = commands.add_parser("build", help="build the programs that are missing")
    buildable = f"of {', '.join(binaries.ALL)} (default: all), {', '.join(binaries.ON_DEMAND)}"
    _ = build.add_argument("names", nargs="*", metavar="NAME", help=buildable)
    up = commands.add_parser("up", help="start servers and keep them until Ctrl-C")
    _ = up.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(SERVERS)} (default: all)")
    _ = up.add_argument("--folder", type=Path, help="keep state, logs and keys in this new folder (default: temporary)")
    options = parser.parse_args(argv)
    known = binaries.ALL if options.command == "build" else SERVERS
    names: list[str] = options.names or list(known)
    if unknown := set(names).difference(known, binaries.ON_DEMAND if options.command == "build" else ()):
        parser.error(f"unknown name: {', '.join(sorted(unknown))}")
    if options.command == "up" and options.folder and options.folder.exists():
        parser.error(f"{options.folder} exists")
    try:
        with terminated_as_interrupt():
            return _build(names) if options.command == "build" else _up(names, options.folder)
    except KeyboardInterrupt:
        left = f"; {options.folder} is left" if options.command == "up" and options.folder else ""
        print(f"\nended: no server runs any more{left}", flush=True)
        return _INTERRUPTED
    except (binaries.BuildError, ProcessError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _build(names: list[str]) -> int:
    for name, path in binaries.build(names).items():
        print(f"{name}\t{path}")
    return 0


def _up(names: list[str], folder: Path | None) -> int:
    with contextlib.ExitStack() as servers:
        if "kubernetes" in names:
            cluster = servers.enter_context(ControlPlane(folder and folder / "kubernetes"))
            print(f"Kubernetes  export KUBECONFIG={cluster.folder / 'admin.kubeconfig'}")
            print(f"            {binaries.path('kubectl')} get nodes", flush=True)
        if "openbao" in names:
            bao = servers.enter_context(OpenBao(folder and folder / "openbao"))
            bao.enable_kv()
            print(f"OpenBao     export VAULT_ADDR={bao.url} VAULT_TOKEN={bao.root_token}")
            print(f"            {binaries.path('bao')} kv list -mount=secret /", flush=True)
        if "git" in names:
            git = servers.enter_context(GitServer(folder and folder / "git"))
            repository = git.create("demo")
            _ = repository.commit({"README.md": "# A repository to try\n"})
            print(f"Git         export GIT_SSL_CAINFO={git.ca_file}")
            print(f"            git clone {git.url_with_password(repository)}", flush=True)
        print("Ctrl-C ends them", flush=True)
        _ = signal.pause()
    return 0


if __name__ == "__main__":
    sys.exit(main())
