"""Which repository a URL names, however it is written."""

from __future__ import annotations

import re
from typing import Final

_HOST: Final = r"(?:[A-Za-z0-9_][A-Za-z0-9._-]*@)?(?P<host>\[[0-9A-Fa-f:]+\]|[A-Za-z0-9.-]+)"
_URL: Final = re.compile(rf"(?P<scheme>[a-z]+)://{_HOST}(?::(?P<port>[0-9]{{1,5}}))?/(?P<path>.*)")
_SCP: Final = re.compile(rf"(?P<scheme>){_HOST}(?P<port>):(?P<path>[^/].*)")
_UNCLEAR: Final = re.compile(r"%|~|//|/\.{1,2}/")
_DEFAULT_PORT: Final = {"https": "443", "http": "80", "ssh": "22"}


def plain(url: str) -> str | None:
    """`host/path` of a repository, by which all ways to write its URL are one: `git@Host:Team/App.git` is `host/team/app`.

    None for what one server takes for another repository, and another server for the same one.
    """
    match = (_URL if "://" in url else _SCP).fullmatch(url)
    if match is None:
        return None
    scheme, host, path = match["scheme"] or "ssh", match["host"].lower(), match["path"]
    port = (match["port"] or "").lstrip("0")
    where = host if port in {"", _DEFAULT_PORT.get(scheme)} else f"{host}:{port}"
    name = path.rstrip("/").lower().removesuffix(".git")
    return None if _UNCLEAR.search(f"/{name}/") else f"{where}/{name}"
