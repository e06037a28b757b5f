"""The cluster as the user of a kubeconfig reaches it."""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse
    from collections.abc import AsyncGenerator

    from agent.adapters.kubernetes.cluster import Cluster
    from agent.adapters.kubernetes.config import ClusterConfig
    from agent.adapters.kubernetes.session import Session
    from agent.adapters.kubernetes.wire import Seals


def add_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("cluster")
    group.add_argument("--kubeconfig", type=Path, metavar="FILE", help="default: $KUBECONFIG, else ~/.kube/config")
    group.add_argument("--context", metavar="NAME", help="of the kubeconfig; default: its current one")


def add_application_options(parser: argparse.ArgumentParser) -> None:
    """The Application that a command is about, and the cluster that it is in."""
    parser.add_argument("name", metavar="NAME", help="an Application, or NAMESPACE/NAME")
    parser.add_argument("-n", "--namespace", default="", help="default: the context's")
    add_options(parser)


def settings(kubeconfig: Path | None, context: str | None) -> ClusterConfig:
    """The kubeconfig's context, or the ServiceAccount of a Pod that has no kubeconfig. Raises ConfigError."""
    from agent.adapters.kubernetes import config

    given = kubeconfig or context or os.environ.get("KUBECONFIG") or (Path.home() / ".kube/config").exists()
    if not given and os.environ.get("KUBERNETES_SERVICE_HOST"):
        return config.in_cluster()
    return config.kubeconfig(kubeconfig, context)


@asynccontextmanager
async def session(settings: ClusterConfig) -> AsyncGenerator[Session]:
    """For what only a session can ask."""
    from agent.adapters.kubernetes.session import Limits, Session

    # A person waits: what does not answer is reported soon.
    limits = Limits(concurrency=16, attempts=3)
    async with Session(settings, agent="signet-cli", limits=limits) as opened:
        yield opened


@asynccontextmanager
async def connect(settings: ClusterConfig, *, seals: Seals = lambda _: False) -> AsyncGenerator[Cluster]:
    """`seals` as `Cluster` has it: live objects that are wrapped whole."""
    from agent.adapters.kubernetes.cluster import Access, Cluster

    async with session(settings) as opened:
        yield Cluster(Access(opened, seals))
