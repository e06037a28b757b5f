"""How much memory manifests may have: read from control groups of both versions, or said by the operator."""

from __future__ import annotations

import pytest

from agent.api.operator import Limits
from agent.daemon import memory
from agent.daemon.memory import MIB

V1 = "12:pids:/kubepods/pod1/abc\n5:cpu,cpuacct:/kubepods/pod1/abc\n4:memory:/kubepods/pod1/abc\n0::/system.slice/containerd\n"
V1_ROOT = "/sys/fs/cgroup/memory"
NO_LIMIT = "9223372036854771712\n"


@pytest.mark.parametrize(
    ("files", "limit"),
    [
        pytest.param({"/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/memory.max": "3221225472\n"}, 3072, id="v2"),
        pytest.param({"/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/memory.max": "max\n"}, None, id="v2, no limit"),
        pytest.param(
            {
                "/proc/self/cgroup": "0::/kubepods/pod1/abc\n",
                "/sys/fs/cgroup/kubepods/pod1/abc/memory.max": "max\n",
                "/sys/fs/cgroup/kubepods/pod1/memory.max": "268435456\n",
                "/sys/fs/cgroup/kubepods/memory.max": "1073741824\n",
            },
            256,
            id="v2, the pod has the limit",
        ),
        pytest.param(
            {"/proc/self/cgroup": "0::/../abc\n", "/sys/fs/cgroup/memory.max": "268435456\n"},
            256,
            id="v2, seen from within",
        ),
        pytest.param(
            {"/proc/self/cgroup": V1, f"{V1_ROOT}/memory.limit_in_bytes": "536870912\n"}, 512, id="v1, its own mount"
        ),
        pytest.param(
            {
                "/proc/self/cgroup": V1,
                f"{V1_ROOT}/kubepods/pod1/abc/memory.limit_in_bytes": "536870912\n",
                f"{V1_ROOT}/memory.limit_in_bytes": NO_LIMIT,
            },
            512,
            id="v1, the host's mount",
        ),
        pytest.param({"/proc/self/cgroup": V1, f"{V1_ROOT}/memory.limit_in_bytes": NO_LIMIT}, None, id="v1, no limit"),
        pytest.param(
            {"/proc/self/cgroup": V1, "/sys/fs/cgroup/unified/memory.max": "1\n"},
            None,
            id="v1 beside v2, which has no memory",
        ),
        pytest.param({}, None, id="no control groups"),
        pytest.param({"/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/memory.max": "²\n"}, None, id="not a number"),
    ],
)
def test_the_limit_of_a_container_is_read(files: dict[str, str], limit: int | None) -> None:
    found = memory.container_limit(lambda path: files.get(path, ""))
    assert found == (limit * MIB if limit is not None else None)


def test_the_files_of_this_machine_are_read() -> None:
    assert memory.read("/proc/self/cgroup")
    assert memory.read("/proc/self/none") == ""


@pytest.mark.parametrize(
    ("container", "expected"),
    [(None, 400), (3072, 400), (4096, 1424), (1024, 144), (256, 32)],
    ids=["unknown", "as shipped", "raised", "less than children may take", "least"],
)
def test_manifests_have_what_children_leave(container: int | None, expected: int) -> None:
    found = memory.budget(Limits(), container * MIB if container is not None else None)
    assert found // MIB == expected


def test_the_operator_says_how_much() -> None:
    assert memory.budget(Limits.model_validate({"memoryBytes": 64 * MIB}), 3072 * MIB) == 64 * MIB


def test_an_application_at_the_limit_of_values_fits() -> None:
    """Of short keys, in files of 12 MB."""
    from agent.engine.rooms import TEXT, VALUE

    limits = Limits()
    assert limits.values * VALUE + 12_000_000 * TEXT <= memory.budget(limits, None) * 5 / 6
