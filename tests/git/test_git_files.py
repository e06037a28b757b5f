"""Which files of a commit are read: layers, globs, what is refused by name, and limits on their number and size."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from agent.engine.repositories import Snapshot
from agent.values.errors import LimitError, SourceError
from testbed.repository import Link, Submodule

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.adapters.git.mirrors import Mirrors
    from agent.api.sources import Source
    from agent.engine.credentials import GitCredential
    from testbed.repository import Repository


async def test_files_come_in_layer_order_then_by_path(
    mirrors: Mirrors, repository: Repository, source: Callable[..., Source], credential: GitCredential
) -> None:
    commit = repository.commit(
        {
            "envs/prod/z.yaml": "z: 1\n",
            "envs/prod/a.yml": "a: 1\n",
            "base/sub/b.json": "{}",
            "base/a.yaml": b"\xff\x00raw",
            "base/README.md": "no manifest",
            "base/.sops.yaml": "rules: []",
            "base/.hidden/c.yaml": "c: 1\n",
            "base/kustomization.yaml": "k: 1\n",
            "other/d.yaml": "d: 1\n",
        }
    )
    layered = source(layers=["base", "./envs/prod/"])
    await mirrors.fetch(layered, credential)
    snapshot = await mirrors.files(layered, credential, commit)
    assert [(file.path, file.layer) for file in snapshot.files] == [
        ("base/a.yaml", 0),
        ("base/kustomization.yaml", 0),
        ("base/sub/b.json", 0),
        ("envs/prod/a.yml", 1),
        ("envs/prod/z.yaml", 1),
    ]
    assert snapshot.files[0].data == b"\xff\x00raw"
    assert snapshot.files[0].blob == repository.git("rev-parse", f"{commit}:base/a.yaml")
    assert snapshot.refused == ()


GLOBS = [
    ([], [], {"a.yaml", "x/b.yaml", "x/y/c.yaml"}),
    (["*.yaml"], [], {"a.yaml"}),
    (["**/*.yaml"], [], {"a.yaml", "x/b.yaml", "x/y/c.yaml"}),
    (["x/**"], [], {"x/b.yaml", "x/y/c.yaml"}),
    (["x/"], ["x/y/"], {"x/b.yaml"}),
    (["x/*"], [], {"x/b.yaml"}),
    (["**/y/**"], [], {"x/y/c.yaml"}),
    ([], ["**/?.yaml"], set[str]()),
    (["/a.yaml"], [], {"a.yaml"}),
    (["[a].yaml"], [], set[str]()),
]


@pytest.mark.parametrize(("include", "exclude", "expected"), GLOBS)
async def test_globs_choose_files(
    mirrors: Mirrors,
    repository: Repository,
    source: Callable[..., Source],
    credential: GitCredential,
    include: list[str],
    exclude: list[str],
    expected: set[str],
) -> None:
    commit = repository.commit(dict.fromkeys(["a.yaml", "x/b.yaml", "x/y/c.yaml"], "a: 1\n"))
    chosen = source(include=include, exclude=exclude)
    await mirrors.fetch(chosen, credential)
    snapshot = await mirrors.files(chosen, credential, commit)
    assert {file.path for file in snapshot.files} == expected


async def test_what_is_no_plain_small_file_is_refused_by_name_and_the_rest_read(
    make_mirrors: Callable[..., Mirrors],
    repository: Repository,
    source: Callable[..., Source],
    credential: GitCredential,
) -> None:
    mirrors = make_mirrors(limits={"fileBytes": 2048})
    commit = repository.commit(
        {
            "app/good.yaml": "a: 1\n",
            "app/big.yaml": b"#" * 2049,
            "app/big.bin": b"#" * 5000,
            "app/passwd.yaml": Link("/etc/passwd"),
            "app/folder": Link("../other"),
            "app/out": Link("../../.."),
            "app/LICENSE": Link("../LICENSE"),
            "app/module": Submodule("1" * 40),
            "app/ignored.yaml": Link("good.yaml"),
            "app/broken-\udcff.yaml": "a: 1\n",
            "LICENSE": "free",
            "other/x.yaml": "x: 1\n",
        }
    )
    one = source(layers=["app"], exclude=["**/ignored.yaml"])
    await mirrors.fetch(one, credential)
    snapshot = await mirrors.files(one, credential, commit)
    assert [file.path for file in snapshot.files] == ["app/good.yaml"]
    assert {path: (error.reason, error.message) for path, error in snapshot.refused} == {
        "app/big.yaml": ("Limit", "larger than the agent accepts"),
        "app/passwd.yaml": ("UnsupportedManifest", "symbolic links are not followed"),
        "app/folder": ("UnsupportedManifest", "symbolic links are not followed"),
        "app/out": ("UnsupportedManifest", "symbolic links are not followed"),
        "app/module": ("UnsupportedManifest", "submodules are not followed"),
        "app/broken-\\xff.yaml": ("Manifest", "the file's name is not UTF-8"),
    }
    assert all(error.facts["file"] == path and error.facts["layer"] == "app" for path, error in snapshot.refused)


LAYERS = [
    (["missing"], "no such folder"),
    (["a.yaml"], "no such folder"),
    (["link"], "no such folder"),
    (["x", "x/y"], "is inside another one"),
    ([".", "x"], "is inside another one"),
    ([".git"], "must be a folder of the repository"),
]


@pytest.mark.parametrize(("layers", "message"), LAYERS)
async def test_a_layer_that_is_no_folder_of_the_commit_is_an_error(
    mirrors: Mirrors,
    repository: Repository,
    source: Callable[..., Source],
    credential: GitCredential,
    layers: list[str],
    message: str,
) -> None:
    commit = repository.commit({"a.yaml": "a: 1\n", "x/y/c.yaml": "a: 1\n", "link": Link("x")})
    layered = source(layers=layers)
    await mirrors.fetch(layered, credential)
    with pytest.raises(SourceError, match=message) as caught:
        await mirrors.files(layered, credential, commit)
    assert not caught.value.transient


async def test_more_files_than_the_limit_are_an_error(
    make_mirrors: Callable[..., Mirrors],
    repository: Repository,
    source: Callable[..., Source],
    credential: GitCredential,
) -> None:
    mirrors = make_mirrors(limits={"objects": 3})
    commit = repository.commit({f"{number}.yaml": "a: 1\n" for number in range(5)})
    await mirrors.fetch(source(), credential)
    with pytest.raises(LimitError, match="more files than the agent accepts"):
        await mirrors.files(source(), credential, commit)


async def test_links_and_refused_files_count_as_files(
    make_mirrors: Callable[..., Mirrors],
    repository: Repository,
    source: Callable[..., Source],
    credential: GitCredential,
) -> None:
    """Each link costs questions to git, and each refusal is kept and shown."""
    mirrors = make_mirrors(limits={"objects": 30})
    commit = repository.commit({f"{number}.link": Link("nowhere/") for number in range(31)})
    await mirrors.fetch(source(), credential)
    with pytest.raises(LimitError, match="more files than the agent accepts"):
        await mirrors.files(source(), credential, commit)
    excluded = source(exclude=["*.link"])
    assert await mirrors.files(excluded, credential, commit) == Snapshot(())


async def test_a_path_that_is_too_long_is_refused_by_its_beginning(
    mirrors: Mirrors, repository: Repository, source: Callable[..., Source], credential: GitCredential
) -> None:
    """Each object remembers the files that it comes from, and there may be fifty thousand in one."""
    long = "/".join(["folder" * 30] * 40)
    commit = repository.commit({"a.yaml": "a: 1\n", f"{long}/b.yaml": "a: 1\n", f"{long}/notes.txt": "x"})
    await mirrors.fetch(source(), credential)
    snapshot = await mirrors.files(source(), credential, commit)
    assert [file.path for file in snapshot.files] == ["a.yaml"]
    [(path, error)] = snapshot.refused
    assert len(path) == 512
    assert len(str(error)) < 700
    assert error.message == "the file's path is longer than the agent accepts"


async def test_layers_over_the_limit_are_refused_before_they_are_read(
    make_mirrors: Callable[..., Mirrors],
    repository: Repository,
    source: Callable[..., Source],
    credential: GitCredential,
) -> None:
    mirrors = make_mirrors(limits={"manifestBytes": 4096})
    commit = repository.commit({f"{name}.yaml": f"a: {'x' * 2000}\n" for name in "abc"})
    await mirrors.fetch(source(), credential)
    with pytest.raises(LimitError, match="layers hold more than the agent accepts"):
        await mirrors.files(source(), credential, commit)


async def test_a_tree_of_endless_paths_is_an_error(
    mirrors: Mirrors, repository: Repository, source: Callable[..., Source], credential: GitCredential
) -> None:
    repository.commit({"a.yaml": "a: 1\n"})
    tree = repository.git("rev-parse", "main^{tree}")
    for _ in range(8):
        entries = "".join(f"040000 tree {tree}\tfolder-with-a-long-name-{number}\n" for number in range(12))
        tree = repository.git("mktree", stdin=entries.encode())
    who = ("-c", "user.name=x", "-c", "user.email=x@example.com")
    commit = repository.git(*who, "commit-tree", tree, "-m", "bomb")
    repository.reset(commit)
    await mirrors.fetch(source(), credential)
    with pytest.raises(LimitError, match="lists more files"):
        await mirrors.files(source(), credential, commit)
