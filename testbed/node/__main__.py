"""`python -m testbed.node test` runs tests on real nodes, `up` starts nodes and says how to reach them."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys

from image import build
from image.storage import ImageError
from testbed import binaries
from testbed.node import machine, network
from testbed.node.controlplane import NodesControlPlane
from testbed.node.node import PROGRAMS
from testbed.node.nodes import Nodes
from testbed.processes import ProcessError, terminated_as_interrupt

_INTERRUPTED = 130


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m testbed.node", description=__doc__)
    _ = parser.add_argument("--within", action="store_true", help=argparse.SUPPRESS)
    commands = parser.add_subparsers(dest="command", required=True)
    _ = commands.add_parser("test", help="run pytest with all further arguments, by default those of tests/node")
    up = commands.add_parser("up", help="start nodes and keep them until Ctrl-C")
    _ = up.add_argument("--nodes", type=int, default=2, help="how many (default: %(default)s)")
    options, rest = parser.parse_known_args(argv)
    if rest and options.command != "test":
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    try:
        if not options.within:
            _enter(argv, testing=options.command == "test")
        network.mark()
        if options.command == "test":
            os.execv(sys.executable, [sys.executable, "-m", "pytest", *(rest or ["-q", "tests/node"])])  # noqa: S606
        with terminated_as_interrupt():
            return _up(options.nodes)
    except KeyboardInterrupt:
        print("\nended: no node runs any more", flush=True)
        return _INTERRUPTED
    except (
        ImageError,
        binaries.BuildError,
        machine.MachineError,
        network.NetworkError,
        ProcessError,
        subprocess.CalledProcessError,
    ) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _enter(argv: list[str], *, testing: bool) -> None:
    """Make what needs the network of the machine, and go on in a network namespace of our own."""
    machine.prepare()
    _ = binaries.build([*NodesControlPlane.programs, *PROGRAMS])
    if testing:
        _ = build.build(build.Choices())
    command = ["unshare", "--net", "--", sys.executable, "-m", "testbed.node", "--within", *argv]
    os.execvp(command[0], command)  # noqa: S606


def _up(count: int) -> int:
    with Nodes(count=count) as nodes:
        config = nodes.controlplane.kubeconfig(nodes.controlplane.folder / "admin.kubeconfig")
        enter = f"nsenter --target {os.getpid()} --net"
        print(f"{enter} {binaries.path('kubectl')} --kubeconfig {config} get nodes", flush=True)
        print("Ctrl-C ends them", flush=True)
        _ = signal.pause()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
