"""What of real nodes needs no root: their settings, archives of images, and what a machine lacks."""

from __future__ import annotations

import hashlib
import ipaddress
import json
import tarfile
import tomllib
from pathlib import Path

import pytest

from testbed.node import archives, folders, machine, network, settings
from testbed.node.plan import SERVERS, Place

MOUNTS = """\
proc /proc proc rw,relatime 0 0
tmpfs /sys/fs/cgroup tmpfs rw,relatime,mode=755 0 0
cgroup /sys/fs/cgroup/memory cgroup rw,relatime,memory 0 0
cgroup2 /sys/fs/cgroup/unified cgroup2 rw,relatime 0 0
"""


def test_no_two_nodes_share_an_address() -> None:
    places = [Place(number) for number in range(3)]
    hosts = [each for place in places for each in (place.address, place.gateway)]
    assert len({*hosts, SERVERS}) == 7
    networks = [ipaddress.ip_network(place.pods) for place in places]
    assert not any(one.overlaps(other) for one in networks for other in networks if one is not other)
    for place in places:
        assert ipaddress.ip_address(place.address) in ipaddress.ip_interface(f"{place.gateway}/30").network


def test_containerd_keeps_everything_in_its_folders() -> None:
    written = tomllib.loads(settings.containerd(Path("/f/containerd"), Path("/c"), "sandbox:1"))
    interface = written["plugins"]["io.containerd.grpc.v1.cri"]
    assert written["root"] == "/c"
    assert written["plugins"]["io.containerd.internal.v1.opt"]["path"] == "/f/containerd/opt"
    assert interface["cni"]["conf_dir"] == "/f/containerd/cni"
    assert interface["sandbox_image"] == "sandbox:1"


def test_a_kubelet_answers_no_anonymous_request() -> None:
    written = settings.kubelet(Place(1), "/run/node-1", Path("/ca.crt"))
    assert written["address"] == "10.90.2.2"
    assert written["cgroupRoot"] == "/run/node-1"
    assert written["authentication"] == {
        "anonymous": {"enabled": False},
        "webhook": {"enabled": True},
        "x509": {"clientCAFile": "/ca.crt"},
    }


def test_pods_get_addresses_of_their_node() -> None:
    (plugin,) = json.loads(settings.pod_network(Place(1), Path("/f")))["plugins"]
    assert plugin["ipam"]["ranges"] == [[{"subnet": "10.244.1.0/24"}]]
    assert plugin["ipam"]["dataDir"] == "/f/addresses"


def test_every_hierarchy_of_cgroups_counts() -> None:
    assert folders.hierarchies(MOUNTS) == [Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup/unified")]


@pytest.mark.parametrize(("system", "user", "why"), [("darwin", 0, "Linux alone"), ("linux", 1000, "root")])
def test_a_machine_that_cannot_run_nodes_is_refused(system: str, user: int, why: str) -> None:
    with pytest.raises(machine.MachineError, match=why):
        machine.require(system, user)
    machine.require("linux", 0)


def test_packages_are_named_by_what_is_missing() -> None:
    assert machine.lacking(lambda program: program != "/usr/lib/cni/ptp") == ["containernetworking-plugins"]


def test_nodes_are_not_started_in_the_network_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGNET_NODES_NETWORK", "net:[1]")
    with pytest.raises(network.NetworkError, match="make test-node"):
        network.open_servers()


def test_an_archive_names_each_layer_by_its_digest(tmp_path: Path) -> None:
    path = archives.write(tmp_path / "image.tar", "localhost/a:1", {"Cmd": ["x"]}, [b"one", b"two"])
    with tarfile.open(path) as tar:

        def read(name: str) -> bytes:
            file = tar.extractfile(name)
            assert file is not None
            return file.read()

        (manifest,) = json.loads(read("manifest.json"))
        config = json.loads(read(manifest["Config"]))
        assert manifest["RepoTags"] == ["localhost/a:1"]
        assert [read(layer) for layer in manifest["Layers"]] == [b"one", b"two"]
    wanted = [f"sha256:{hashlib.sha256(layer).hexdigest()}" for layer in (b"one", b"two")]
    assert config["rootfs"]["diff_ids"] == wanted
    assert config["config"] == {"Cmd": ["x"]}
