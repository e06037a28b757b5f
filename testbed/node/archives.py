"""Images as archives that containerd imports, put together without a builder."""

from __future__ import annotations

import hashlib
import io
import json
import platform
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

BUSYBOX: Final = "localhost/signet-testbed/busybox:1"
"""The shell and small tools of Debian's busybox-static. It waits by default, so that it serves as the image of sandboxes too."""
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def busybox(path: Path) -> Path:
    """Write the archive of BUSYBOX. Gives `path`."""
    program = shutil.which("busybox")
    assert program is not None
    applets = subprocess.run([program, "--list"], capture_output=True, text=True, check=True).stdout.split()
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        content = Path(program).read_bytes()
        _add(tar, "bin/busybox", content, mode=0o755)
        for applet in applets:
            if applet != "busybox":
                link = tarfile.TarInfo(f"bin/{applet}")
                link.type, link.linkname = tarfile.SYMTYPE, "busybox"
                tar.addfile(link)
    config = {"Cmd": ["/bin/sleep", "2147483647"], "Env": ["PATH=/bin"]}
    return write(path, BUSYBOX, config, [layer.getvalue()])


def write(path: Path, name: str, config: Mapping[str, object], layers: Sequence[bytes]) -> Path:
    """An archive as `docker save` makes it, with uncompressed layers. Gives `path`."""
    digests = [hashlib.sha256(layer).hexdigest() for layer in layers]
    image = {
        "architecture": _ARCHITECTURES.get(platform.machine(), platform.machine()),
        "os": "linux",
        "config": dict(config),
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}" for digest in digests]},
    }
    raw = json.dumps(image).encode()
    files = [f"{digest}/layer.tar" for digest in digests]
    config_file = f"{hashlib.sha256(raw).hexdigest()}.json"
    manifest = [{"Config": config_file, "RepoTags": [name], "Layers": files}]
    with tarfile.open(path, mode="w") as tar:
        _add(tar, config_file, raw)
        for file, layer in zip(files, layers, strict=True):
            _add(tar, file, layer)
        _add(tar, "manifest.json", json.dumps(manifest).encode())
    return path


def _add(tar: tarfile.TarFile, name: str, content: bytes, *, mode: int = 0o644) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), mode
    tar.addfile(entry, io.BytesIO(content))
