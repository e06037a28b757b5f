"""`.gitmodules`: what it names is what Git reads of it, and nothing else of it counts."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import cost
import pytest

from agent.manifests import submodules
from agent.manifests.documents import TreeEntry
from agent.manifests.submodules import Piece, pieces
from agent.values.errors import SourceError

if TYPE_CHECKING:
    from pathlib import Path

SHA = "ab" * 20


def found(text: str, *paths: str, repository: str = "https://git.example.com/shop/app.git") -> dict[str, str]:
    listing = {path: TreeEntry(SHA, 0, "submodule") for path in paths or ("lib",)}
    return {each.path: each.url for each in submodules.links(listing, text.encode(), repository)}


@pytest.mark.parametrize(
    "text",
    [
        '[submodule "lib"]\n\tpath = lib\n\turl = https://git.example.com/lib\n',
        '[submodule "lib"] path=lib\nurl=https://git.example.com/lib',
        '# c\n[core]\n\turl = x\n[SUBMODULE "a.b \\"c\\""]\n PATH = lib ; c\n  Url = "https://git.example.com/lib" # c\n',
        '[submodule "lib"]\r\n\tpath = lib\r\n\turl = https://git.\\\nexample.com/lib\r\n',
        '\ufeff[submodule "lib"]\n\tpath = "li"b\n\turl = https://git.example.com/lib   \n\tupdate = !touch /tmp/x\n\tshallow\n',
        '[submodule "lib"]\n\tpath = lib\n\turl = https://git.example.com/lib\n[submodule "lib"]\n\tbranch = x\n\turl = https://git.example.com/lib\n',
    ],
)
def test_what_git_reads(text: str, tmp_path: Path) -> None:
    (tmp_path / "modules").write_bytes(text.encode())
    command = ["git", "config", "-z", "--file", "modules", "--get-regexp", r"submodule\..*\.(path|url)"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=True, text=True)
    pairs = (each.split("\n") for each in done.stdout.strip("\0").split("\0"))
    said = {name.rpartition(".")[2]: value for name, value in pairs}
    assert said == {"path": "lib", "url": "https://git.example.com/lib"}
    assert found(text) == {"lib": said["url"]}


@pytest.mark.parametrize(
    ("remote", "url"),
    [
        ("https://git.example.com/shop/app.git", "../platform/lib.git"),
        ("https://git.example.com/shop/app/", "../lib/"),
        ("https://git.example.com/shop/app", "../../lib"),
        ("https://git.example.com/shop/app", "./lib"),
        ("git@git.example.com:shop/app.git", "../lib.git"),
        ("git@git.example.com:app.git", "../lib.git"),
        ("ssh://git@git.example.com:2222/shop/app.git", "../.././lib.git"),
        ("https://git.example.com/shop/app", "https://elsewhere.example.com/lib"),
        ("https://git.example.com/app", "../../elsewhere.example.com/lib"),
    ],
)
def test_relative_addresses_are_those_that_git_takes(remote: str, url: str, tmp_path: Path) -> None:
    def git(*command: str) -> str:
        done = subprocess.run(["git", *command], cwd=tmp_path, capture_output=True, check=True, text=True)
        return done.stdout.strip()

    git("init", "--quiet")
    git("remote", "add", "origin", remote)
    (tmp_path / ".gitmodules").write_text(f'[submodule "lib"]\n\tpath = lib\n\turl = {url}\n')
    git("update-index", "--add", "--cacheinfo", f"160000,{SHA},lib")
    git("submodule", "init", "lib")
    assert found(f'[submodule "lib"]\n\tpath = lib\n\turl = {url}\n', repository=remote) == {
        "lib": git("config", "submodule.lib.url")
    }


@pytest.mark.parametrize(
    "text",
    [
        '[submodule "lib"]\n\tpath = lib\n\turl = a\n\turl = b\n',
        '[submodule "a"]\n\tpath = lib\n\turl = a\n[submodule "b"]\n\tpath = lib\n\turl = b\n',
        '[submodule "lib"\n\tpath = lib\n',
        '[submodule "lib"]\n\tpath = "lib\n',
        '[submodule "lib"]\n\tpath = \\x\n',
        '[submodule "lib"]\n\t=\n',
        "# " + "x" * 64 * 1024,
        "\udc80",
    ],
)
def test_what_can_be_read_in_two_ways_is_refused(text: str) -> None:
    with pytest.raises(SourceError):
        submodules.links({"lib": TreeEntry(SHA, 0, "submodule")}, text.encode("utf-8", "surrogateescape"), "x")


@pytest.mark.parametrize(
    ("module", "also"),
    [
        ("a/lib", ("a", "link")),
        ("lib", ("lib/x.yaml", "file")),
        ("../lib", None),
        (".git/lib", None),
        ("a/.GIT", None),
        ("/lib", None),
        ("a\n", None),
        ("x" * 600, None),
    ],
)
def test_a_path_where_something_else_may_stand_is_refused(module: str, also: tuple[str, str] | None) -> None:
    listing = {module: TreeEntry(SHA, 0, "submodule")}
    if also:
        listing[also[0]] = TreeEntry(SHA, 1, also[1])  # pyright: ignore[reportArgumentType]
    written = module.replace("\n", "\\n")
    text = f'[submodule "lib"]\n\tpath = "{written}"\n\turl = https://git.example.com/lib\n'
    with pytest.raises(SourceError):
        submodules.links(listing, text.encode(), "https://git.example.com/app")


def test_many_among_many_paths_take_seconds_at_most() -> None:
    modules = {f"{number:x}": TreeEntry(SHA, 0, "submodule") for number in range(1800)}
    files = {f"files/{number}": TreeEntry(SHA, 1) for number in range(400_000)}
    text = "".join(f'[submodule "{path}"]path={path}\nurl=a\n' for path in modules)
    with cost.at_most(seconds=2):
        found = submodules.links(modules | files, text.encode(), "https://git.example.com/app")
    assert len(found) == len(modules)


@pytest.mark.parametrize(
    ("layers", "modules", "expected"),
    [
        (["."], ["a"], [Piece("", (".",), (0,)), Piece("a", (".",), (0,))]),
        (["base", "a/x", "a"], ["a"], [Piece("", ("base",), (0,)), Piece("a", ("x", "."), (1, 2))]),
        (
            ["v"],
            ["v/a", "v/a/b", "w"],
            [Piece("", ("v",), (0,)), Piece("v/a", (".",), (0,)), Piece("v/a/b", (".",), (0,))],
        ),
        (["v/a/b/c"], ["v/a", "v/a/b"], [Piece("v/a/b", ("c",), (0,))]),
        (["."], [".hidden/a"], [Piece("", (".",), (0,))]),
        ([".hidden/a/x"], [".hidden/a"], [Piece(".hidden/a", ("x",), (0,))]),
        (["ab"], ["a"], [Piece("", ("ab",), (0,))]),
    ],
)
def test_layers_are_those_of_the_repository_that_has_the_files(
    layers: list[str], modules: list[str], expected: list[Piece]
) -> None:
    assert pieces(layers, modules) == expected
