"""`make image`: deploy/Dockerfile by buildah, without Docker, without a registry and without privileges but root's.

Two parts of the Dockerfile come from registries by default, and from this machine here. The base is made by mmdebstrap from Debian's own
archive, and signet-render is the one that `make build` linked. Neither is seen in the image: of the base it holds only Debian's files of
named programs, upgraded by apt.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from image import sbom
from image.archive import Image
from image.contained import Contents
from image.storage import ImageError, buildah, cache, install, reserved
from render import build as renderer

_ROOT: Final = Path(__file__).parents[1]
OUTPUT: Final = _ROOT / "build" / "image"
_BASE: Final = "localhost/signet-base:trixie"
_SUITES: Final = (
    "deb http://deb.debian.org/debian trixie main",
    "deb http://deb.debian.org/debian trixie-updates main",
    "deb http://security.debian.org/debian-security trixie-security main",
)
_AUTHORITIES: Final = ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE")
"""Where a machine behind a proxy says which authorities it trusts."""


@dataclass(frozen=True, slots=True)
class Choices:
    """`base` is an image to build upon, or empty for that of mmdebstrap; `again` takes no layer from an earlier build."""

    base: str = ""
    again: bool = False
    output: Path = OUTPUT


def version() -> str:
    """Of the agent, as pyproject.toml has it."""
    return str(tomllib.loads((_ROOT / "pyproject.toml").read_text())["project"]["version"])


def archive(output: Path = OUTPUT) -> Path:
    """Where the image is put."""
    return output / f"signet-{version()}.tar"


def materials(image: Image) -> Path:
    """Where the bill of materials of an archive is, beside it."""
    return image.path.with_suffix(".cdx.json")


def build(choices: Choices) -> Image:
    """The image, in an archive under the name `docker.io/library/signet:VERSION`, with its bill of materials. Raises ImageError."""
    install("buildah")
    choices.output.mkdir(parents=True, exist_ok=True)
    OUTPUT.mkdir(parents=True, exist_ok=True)
    _ = shutil.copyfile(renderer.built(), OUTPUT / renderer.NAME)
    (OUTPUT / renderer.NAME).chmod(0o755)
    name, path = f"localhost/signet:{version()}", archive(choices.output)
    with reserved():
        if choices.again:
            _ = buildah("rmi", "--prune", "--force")
        _ = buildah(*_build(choices, name))
        path.unlink(missing_ok=True)
        _ = buildah("push", "--quiet", name, f"oci-archive:{path}:docker.io/library/signet:{version()}")
    image = Image.read(path)
    _ = materials(image).write_text(sbom.text(image, Contents.of(image)))
    return image


def _build(choices: Choices, name: str) -> list[str]:
    arguments = {
        "BASE": choices.base or _base(),
        "RENDERER": "given",
        "REVISION": _git("rev-parse", "HEAD"),
        "VERSION": version(),
    }
    # no label of buildah's own, so that another version of it builds the same
    options = ["--layers", "--isolation=chroot", "--network=host", "--identity-label=false"]
    # one time for all builds: layers that were made for another commit are taken again, and a layer that did not change keeps its digest
    options += ["--timestamp=0"]
    options += ["--pull-never"] if not choices.base else []
    options += ["--no-cache"] if choices.again else []
    trusted = next((os.environ[each] for each in _AUTHORITIES if os.environ.get(each)), "")
    options += [f"--secret=id=ca,src={trusted}"] if trusted else []
    options += [f"--build-arg={name}={value}" for name, value in arguments.items()]
    return ["bud", *options, f"--file={_ROOT / 'deploy' / 'Dockerfile'}", f"--tag={name}", str(_ROOT)]


def _git(*arguments: str) -> str:
    """What git says of this checkout; nothing where it is none."""
    done = subprocess.run(["git", "-C", str(_ROOT), *arguments], capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def _base() -> str:
    """The smallest Debian that has apt, made where it is missing. apt upgrades it in every build."""
    if _BASE in buildah("images", "--format={{.Name}}:{{.Tag}}").split():
        return _BASE
    install("mmdebstrap")
    tree = cache() / "base.tar"
    print("making the base from Debian's archive", file=sys.stderr, flush=True)
    command = ["mmdebstrap", "--mode=root", "--variant=minbase", "--quiet", "trixie", str(tree), *_SUITES]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode != 0:
        raise ImageError(f"mmdebstrap failed:\n{done.stdout[-4000:]}")
    container = buildah("from", "scratch").strip()
    try:
        _ = buildah("add", "--quiet", container, str(tree), "/")
        _ = buildah("commit", "--quiet", container, _BASE)
    finally:
        _ = buildah("rm", container)
        tree.unlink()
    return _BASE
