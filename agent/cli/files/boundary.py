"""What a repository must not make its user write: files outside of it, to which one of its links leads.

A hostile repository commits `secrets` as a link to a folder of its user. `agent encrypt -i secrets/*` would encrypt what is there for the
recipients that its `.sops.yaml` names.
"""

from __future__ import annotations

import os

from agent.cli.errors import WriteError
from agent.cli.files import content, rules


def check(file: str, config: str | None = None) -> None:
    """Refuse a file to which a link leads out of the folder of a `.sops.yaml` that the link lies in, or out of the work tree around it.

    That is the file's, or the one around this folder, or the `config` that the user names. What the user names outside, by a path of
    their own, is theirs to choose. Raises WriteError.
    """
    given = config or os.environ.get("SOPS_CONFIG")
    named = {given, rules.search("."), rules.search(os.path.dirname(file) or ".")}
    folders = {os.path.realpath(os.path.dirname(os.path.abspath(path))) for path in named if path}
    if not folders:
        return
    if (top := work_tree(os.path.join(os.getcwd(), ""))) is not None:
        # Of a folder with rules of its own only the folders above may have the link.
        folders.add(os.path.realpath(top))
    if os.path.exists(file) and not os.path.isfile(file):
        return  # a pipe or a terminal, such as /dev/stdout
    links = [path for path in _prefixes(file) if os.path.islink(path)]
    for folder in folders:
        if any(_lies_in(_parent(link), folder) and not _lies_in(os.path.realpath(link), folder) for link in links):
            raise WriteError(
                "a link leads to this file, out of the folder of .sops.yaml",
                hint="name the file where it is, if it is meant",
                file=file,
            )


def write(file: str, data: bytes, config: str | None = None) -> None:
    """Replace a file that a link may not lead to. Raises WriteError."""
    check(file, config)
    content.write(file, data)


def work_tree(path: str) -> str | None:
    """The work tree that an absolute path lies in."""
    folder = os.path.dirname(path)
    while not os.path.lexists(os.path.join(folder, ".git")):
        if folder == os.path.dirname(folder):
            return None
        folder = os.path.dirname(folder)
    return folder


def _prefixes(file: str) -> list[str]:
    """The path and each folder on the way, as they are named: `..` behind a link is where the link leads."""
    parts = os.path.join(os.getcwd(), file).split("/")
    return ["/".join(parts[: end + 1]) for end in range(1, len(parts)) if parts[end] not in {"", ".", ".."}]


def _parent(path: str) -> str:
    return os.path.realpath(os.path.dirname(path))


def _lies_in(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")
