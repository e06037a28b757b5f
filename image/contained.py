"""What a built image holds: its packages of Debian, of Python and of Go, and how many bytes each takes. Read from the image alone."""

from __future__ import annotations

import email.parser
import re
import subprocess
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from image.archive import Image

_RENDERER: Final = "agent/adapters/render/signet-render"
_MODULE: Final = re.compile(r"^\t(?:dep|=>)\t(\S+)\t(\S+)", re.MULTILINE)


@dataclass(frozen=True, slots=True, order=True)
class Part:
    """A package. `licence` is an SPDX expression, where the package says one."""

    kind: Literal["deb", "golang", "pypi"]
    name: str
    version: str
    licence: str = ""
    architecture: str = ""


@dataclass(frozen=True, slots=True)
class Contents:
    """`files` are paths without a slash in front, with their bytes; those of links are none."""

    parts: tuple[Part, ...]
    files: dict[str, int]

    @classmethod
    def of(cls, image: Image) -> Contents:
        """Reads every layer."""
        files: dict[str, int] = {}
        parts: list[Part] = []
        for layer in image.layers:
            for member, content in image.members(layer):
                if member.isdir():
                    continue
                files[member.name] = member.size
                if member.name == "var/lib/dpkg/status":
                    parts += debian(content.decode())
                elif member.name.endswith(".dist-info/METADATA"):
                    parts.append(python(content.decode()))
                elif member.name.endswith(_RENDERER):
                    parts += _go(content)
        return cls(tuple(sorted(parts)), files)

    def by_place(self) -> list[tuple[str, int]]:
        """Bytes by package of Python, by folder of what is not one, the largest first."""
        sizes: Counter[str] = Counter()
        for path, size in self.files.items():
            sizes[_place(path)] += size
        return sizes.most_common()


def _place(path: str) -> str:
    if path.endswith(_RENDERER):
        return "signet-render"
    inside = path.partition("/site-packages/")[2]
    if inside:
        return re.sub(r"(-[\d.].*)?\.(dist-info|libs)$", "", inside.partition("/")[0])
    return "/".join(path.split("/")[:3]) if path.startswith("usr/") else path.split("/", 1)[0]


def debian(status: str) -> Iterable[Part]:
    """Of dpkg's status file."""
    for paragraph in status.strip().split("\n\n"):
        fields = email.parser.Parser().parsestr(paragraph, headersonly=True)
        yield Part("deb", fields["Package"], fields["Version"], architecture=fields["Architecture"])


def python(metadata: str) -> Part:
    """Of the METADATA of an installed wheel."""
    fields = email.parser.Parser().parsestr(metadata, headersonly=True)
    name = re.sub(r"[-_.]+", "-", fields["Name"]).lower()
    return Part("pypi", name, fields["Version"], licence=fields["License-Expression"] or "")


def _go(program: bytes) -> Iterable[Part]:
    """The modules that Go linked into a program, as it says itself."""
    with tempfile.NamedTemporaryFile() as file:
        _ = file.write(program)
        file.flush()
        Path(file.name).chmod(0o755)
        said = subprocess.run(["go", "version", "-m", file.name], capture_output=True, text=True, check=True).stdout
    yield Part("golang", "stdlib", said.partition(": go")[2].partition("\n")[0])
    for name, version in _MODULE.findall(said):
        yield Part("golang", name, version)
