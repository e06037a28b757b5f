"""The build hook: wheels for Linux and macOS carry signet-render beside the adapter that runs it."""

from __future__ import annotations

import importlib.util
import os
import platform
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

if TYPE_CHECKING:
    from types import ModuleType

WITHOUT = "SIGNET_WITHOUT_RENDERER"
_MACHINES = {"amd64": "x86_64", "aarch64": "aarch64", "arm64": "arm64", "x86_64": "x86_64"}


class RendererHook(BuildHookInterface[Any]):
    """Builds the program by Go, from the cache where these sources were built before. An editable install goes without: see `make build`."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable" or os.environ.get(WITHOUT):
            return
        build = _build(Path(self.root))
        try:
            program: Path = build.built()
        except RuntimeError as error:
            sys.exit(f"{error}; with {WITHOUT}=1 the wheel goes without, and does not render kustomizations")
        build_data["force_include"][str(program)] = f"agent/adapters/render/{build.NAME}"
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{_platform()}"


def _build(root: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("signet_render_build", root / "render" / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _platform() -> str:
    """A static program runs on every Linux, and on macOS from the first that Go supports."""
    machine = _MACHINES.get(platform.machine().lower(), platform.machine().lower())
    return f"macosx_12_0_{machine}" if sys.platform == "darwin" else f"manylinux2014_{machine}"
