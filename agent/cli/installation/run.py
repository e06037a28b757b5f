"""`agent run`: the daemon."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from agent.cli.errors import UsageError

if TYPE_CHECKING:
    import argparse

_EPILOG = """\
In a cluster, deploy/install.yaml starts it with all of these set. On a laptop:
  agent run --kubeconfig ~/.kube/config --namespace signet-system --operator-file operator.yaml \\
            --state-dir ./state --memory-dir /dev/shm/signet --listen 127.0.0.1:8080

It watches Application objects (`agent crds | kubectl apply -f -`) until SIGTERM, then finishes the requests in flight.
Logs go to standard error as JSON lines; the audit trail goes where the operator's file says.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = "Run the agent: fetch, decrypt, apply and heal until it is stopped."
    parser.epilog = _EPILOG
    name = os.environ.get("SIGNET_AGENT_NAME") or socket.gethostname()
    parser.add_argument(
        "--kubeconfig", type=Path, help="default: the Pod's ServiceAccount, else $KUBECONFIG, else ~/.kube/config"
    )
    parser.add_argument("--context", help="of the kubeconfig; default: its current one")
    parser.add_argument(
        "--namespace",
        default=os.environ.get("SIGNET_AGENT_NAMESPACE", ""),
        help="of the agent itself; default: $SIGNET_AGENT_NAMESPACE, else the Pod's or the context's",
    )
    parser.add_argument(
        "--name", default=name, help="unique among running agents; default: $SIGNET_AGENT_NAME, else the host's name"
    )
    parser.add_argument(
        "--operator-file",
        type=Path,
        help="allowed hosts, stores, keys and grants (docs/reference/operator.md), which has to exist; without the flag nothing is reachable",
    )
    parser.add_argument(
        "--state-dir",
        type=Path,
        default=Path("/var/lib/signet"),
        help="folder for Git mirrors and artifacts; may be lost at any time (default: %(default)s)",
    )
    parser.add_argument(
        "--memory-dir",
        type=Path,
        default=Path("/run/signet"),
        help="folder for keys, on memory-backed storage (default: %(default)s)",
    )
    parser.add_argument(
        "--listen", default="0.0.0.0:8080", help="address and port of probes and metrics (default: %(default)s)"
    )
    parser.add_argument(
        "--listen-webhooks",
        default="0.0.0.0:8081",
        help="address and port of webhooks, if the operator's file has any (default: %(default)s)",
    )
    parser.add_argument(
        "--renderer", type=Path, metavar="FILE", help="signet-render; default: the one that came with the agent"
    )
    parser.add_argument("--log-level", default="info", choices=["debug", "info", "warning", "error"])


def run(args: argparse.Namespace) -> int:
    from agent.daemon import logs
    from agent.daemon.process import Process
    from agent.daemon.settings import Settings

    host, port = _address(args.listen)
    hook_host, hook_port = _address(args.listen_webhooks)
    logs.configure(args.log_level)
    settings = Settings(
        identity=args.name,
        namespace=args.namespace,
        operator_file=args.operator_file,
        mirrors=args.state_dir / "mirrors",
        artifacts=args.state_dir / "artifacts",
        memory=args.memory_dir,
        host=host,
        port=port,
        hook_host=hook_host,
        hook_port=hook_port,
        kubeconfig=args.kubeconfig,
        context=args.context,
        renderer=args.renderer,
    )
    asyncio.run(Process(settings).run())
    return 0


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not port.isdecimal():
        raise UsageError("--listen and --listen-webhooks take ADDRESS:PORT", hint="such as 127.0.0.1:8080")
    return host.strip("[]"), int(port)
