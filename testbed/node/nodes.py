"""A control plane with real nodes."""

from __future__ import annotations

import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from testbed import binaries
from testbed.node import archives, cgroups, network
from testbed.node.controlplane import NodesControlPlane
from testbed.node.node import PROGRAMS, Node
from testbed.node.plan import Place
from testbed.processes import Supervisor

if TYPE_CHECKING:
    from collections.abc import Sequence

_CONTENT: Final = 4 * 2**30
"""Bytes that images and file systems of containers may take."""


class Nodes:
    """A context manager, in a network namespace of its own (`network.isolated`). All nodes have `images`, archives, and archives.BUSYBOX."""

    def __init__(self, images: Sequence[Path] = (), *, count: int = 2) -> None:
        places = [Place(number) for number in range(count)]
        cgroups.remove_left()
        path, folders = cgroups.of_run()
        content = _fast_folder()
        self.supervisor: Supervisor = Supervisor(grace=0, removed=[*folders, content])
        self.controlplane: NodesControlPlane = NodesControlPlane(places)
        self._busybox: Path = self.supervisor.folder / "busybox.tar"
        self.nodes: list[Node] = [
            Node(
                place,
                self.controlplane,
                self.supervisor,
                sandbox=archives.BUSYBOX,
                images=[self._busybox, *images],
                cgroup=(path, folders),
                content=content / place.name,
            )
            for place in places
        ]

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Returns when every node is Ready. Raises ProcessError, BuildError, NetworkError."""
        network.open_servers()
        _ = binaries.build(PROGRAMS)
        _ = archives.busybox(self._busybox)
        self.controlplane.start()
        with ThreadPoolExecutor() as pool:
            for _ in pool.map(Node.start, self.nodes):
                pass

    def stop(self) -> None:
        """End every process; no mount, interface, cgroup and file is left. Harmless twice."""
        self.supervisor.stop()
        self.controlplane.stop()

    def node(self, name: str) -> Node:
        """The node of that name."""
        return next(each for each in self.nodes if each.name == name)


def _fast_folder() -> Path:
    """In memory where there is enough of it: images are unpacked in a fraction of the time."""
    memory = Path("/dev/shm")  # noqa: S108  # a folder of our own in it
    enough = memory.is_dir() and shutil.disk_usage(memory).free > _CONTENT
    return Path(tempfile.mkdtemp(prefix="signet-nodes-", dir=memory if enough else None))
