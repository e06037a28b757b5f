"""What is taken into the image and what its bill of materials says, without an image."""

from __future__ import annotations

import json

import pytest

from image import assemble, contents, sbom
from image.archive import Image
from image.contained import Contents, Part, debian, python

SITE = "/opt/signet/lib/python3.13/site-packages"


@pytest.mark.parametrize(
    ("path", "unused"),
    [
        (f"{SITE}/kubernetes/client/models/v1_pod.py", True),
        (f"{SITE}/kubernetes/client/configuration.py", False),
        (f"{SITE}/kubernetes/config/kube_config.py", False),
        (f"{SITE}/aiohttp/_http_parser.pyx", True),
        (f"{SITE}/aiohttp/client.py", False),
        (f"{SITE}/pydantic/__pycache__/main.cpython-313.pyc", True),
        ("/usr/lib/python3.13/idlelib/run.py", True),
        ("/usr/lib/python3.13/unittest/mock.py", False),
        ("/usr/lib/python3.13/lib-dynload/_curses.cpython-313-x86_64-linux-gnu.so", True),
        ("/opt/signet/bin/activate.fish", True),
        ("/opt/signet/bin/agent", False),
    ],
)
def test_what_is_left_out(path: str, *, unused: bool) -> None:
    assert assemble.unused(path) is unused


def test_no_program_is_left_out() -> None:
    assert not [path for path in contents.PROGRAMS if assemble.unused(path)]


@pytest.mark.parametrize(
    ("path", "merged"),
    [
        ("/lib/x86_64-linux-gnu/libc.so.6", "/usr/lib/x86_64-linux-gnu/libc.so.6"),
        ("/libx/y", "/libx/y"),
        ("/etc/a", "/etc/a"),
    ],
)
def test_paths_of_the_merged_usr(path: str, merged: str) -> None:
    assert assemble.merged(path) == merged


STATUS = """\
Package: git
Status: install ok installed
Architecture: amd64
Version: 1:2.47.3-0+deb13u1
Description: fast
 and more

Package: tzdata
Architecture: all
Version: 2026c
"""
METADATA = "Metadata-Version: 2.4\nName: Google.Re2\nVersion: 1.1\nLicense-Expression: BSD-3-Clause\n\nName: not this\n"


def test_packages_are_read_as_dpkg_and_wheels_write_them() -> None:
    git, zone = debian(STATUS)
    assert (git.name, git.version, git.architecture) == ("git", "1:2.47.3-0+deb13u1", "amd64")
    assert zone.architecture == "all"
    assert python(METADATA) == Part("pypi", "google-re2", "1.1", "BSD-3-Clause")


def test_the_bill_names_each_part_as_scanners_look_for_it(tmp_path) -> None:
    config = {"Labels": {"org.opencontainers.image.version": "0.1.0"}}
    image = Image(tmp_path / "x.tar", "sha256:ab", config, ())
    parts = (*debian(STATUS), python(METADATA), Part("golang", "helm.sh/helm/v4", "v4.3.2"))
    text = sbom.text(image, Contents(parts, {}))
    assert text == sbom.text(image, Contents(parts, {}))
    bill = json.loads(text)
    assert [each["purl"] for each in bill["components"]] == [
        "pkg:deb/debian/git@1%3A2.47.3-0%2Bdeb13u1?arch=amd64&distro=debian-13",
        "pkg:deb/debian/tzdata@2026c?arch=all&distro=debian-13",
        "pkg:pypi/google-re2@1.1",
        "pkg:golang/helm.sh/helm/v4@v4.3.2",
    ]
    assert bill["metadata"]["component"]["purl"] == "pkg:oci/signet@sha256%3Aab"
    other = sbom.of(Image(tmp_path / "x.tar", "sha256:cd", config, ()), Contents(parts, {}))
    assert other["serialNumber"] != bill["serialNumber"]


def test_bytes_are_counted_for_the_package_that_brings_them() -> None:
    files = {
        "opt/signet/lib/python3.13/site-packages/yaml/cyaml.py": 1,
        "opt/signet/lib/python3.13/site-packages/agent/adapters/render/signet-render": 40,
        "opt/signet/lib/python3.13/site-packages/agent/cli/main.py": 2,
        "opt/signet/lib/python3.13/site-packages/pydantic-2.14.3.dist-info/RECORD": 3,
        "opt/signet/lib/python3.13/site-packages/pydantic/main.py": 4,
        "usr/bin/git": 5,
        "etc/passwd": 6,
    }
    assert dict(Contents((), files).by_place()) == {
        "signet-render": 40,
        "pydantic": 7,
        "etc": 6,
        "usr/bin/git": 5,
        "agent": 2,
        "yaml": 1,
    }
