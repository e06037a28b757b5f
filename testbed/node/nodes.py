"""A control plane with real nodes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Self

from testbed import binaries
from testbed.node import archives, folders, network
from testbed.node.controlplane import NodesControlPlane
from testbed.node.node import PROGRAMS, Node
from testbed.node.plan import Place
from testbed.processes import Supervisor

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class Nodes:
    """A context manager, in a network namespace of its own (`network.isolated`). All nodes have `images`, archives, and archives.BUSYBOX."""

    def __init__(self, images: Sequence[Path] = (), *, count: int = 2) -> None:
        places = [Place(number) for number in range(count)]
        folders.remove_left()
        cgroups, content = folders.of_run(), folders.for_images()
        self.supervisor: Supervisor = Supervisor(grace=0, removed=[*cgroups, content])
        self.controlplane: NodesControlPlane = NodesControlPlane(places)
        self._busybox: Path = self.supervisor.folder / "busybox.tar"
        self.nodes: list[Node] = [
            Node(
                place,
                self.controlplane,
                self.supervisor,
                sandbox=archives.BUSYBOX,
                images=[self._busybox, *images],
                cgroups=cgroups,
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
