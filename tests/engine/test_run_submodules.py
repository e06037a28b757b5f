"""Submodules of a source: read where the Application names their repositories, each with its credential and its keys."""

from __future__ import annotations

import pytest
from memory_world.sealed_files import encrypt
from memory_world.sources import Gitlink
from whole_runs import manifests as m
from whole_runs.installation import Installation

from agent.values.ids import short

LIB = "https://git.example.com/platform/lib"
DEEP = "https://git.example.com/platform/deep"
FIRST, SECOND = "ab" * 20, "cd" * 20
NAMED = {"url": "https://git.example.com/platform", "credentials": {"secretName": "platform"}}


def gitmodules(**urls: str) -> str:
    return "".join(f'[submodule "{path}"]\n\tpath = {path}\n\turl = {url}\n' for path, url in urls.items())


def world(
    own: dict[str, str] | None = None,
    *,
    layers: list[str] | None = None,
    named: list[dict[str, object]] | None = None,
    lib: dict[str, str] | None = None,
    **spec: object,
) -> Installation:
    """An Application whose repository has the submodule `lib` at FIRST."""
    files = {"own/a.yaml": m.config(), ".gitmodules": gitmodules(lib=LIB), "lib": Gitlink(FIRST), **(own or {})}
    made = Installation(files=files, layers=layers or ["."], **spec)
    spec_source = {**made.application["spec"]["source"], "submodules": [NAMED] if named is None else named}
    made.spec(source=spec_source)
    made.git.others = {LIB: {FIRST: lib or {"base/b.yaml": m.config("b")}}, DEEP: {FIRST: {"d.yaml": m.config("d")}}}
    return made


async def test_its_files_stand_where_it_stands_at_the_commit_that_is_pinned() -> None:
    made = world()
    ran = await made.run()
    assert ran.problems == []
    assert ran.writes == ["apply ConfigMap/a", "apply ConfigMap/b"]
    assert f"lib {short(FIRST)}" in str(ran.status.revision)
    assert {f"lib {short(FIRST)}" in str(each.revision) for each in ran.audit} == {True}
    assert made.git.fetched == [f"platform {LIB} abab"]

    made.git.others[LIB][SECOND] = {"base/b.yaml": m.config("b", "2")}
    made.push({**made.git.commits[-1], "lib": Gitlink(SECOND)})
    ran = await made.run()
    assert ran.writes == ["apply ConfigMap/b"]
    assert f"lib {short(SECOND)}" in str(ran.status.revision)
    assert (await made.run()).quiet


async def test_a_layer_within_it_is_merged_onto_one_beside_it() -> None:
    lib = {"base/b.yaml": m.config("b", data="lib", more="lib"), "other/c.yaml": m.config("c")}
    made = world({"own/b.yaml": m.config("b", data="own")}, layers=["lib/base", "own"], lib=lib)
    ran = await made.run()
    assert ran.problems == []
    assert made.value("ConfigMap/b", "data") == {"value": "own", "more": "lib"}
    assert sorted(ran.writes) == ["apply ConfigMap/a", "apply ConfigMap/b"]


async def test_one_that_no_entry_names_is_not_followed() -> None:
    made = world(named=[{"url": "https://git.example.com/other"}])
    await made.run()
    assert made.git.fetched == []
    assert made.live("ConfigMap/b") is None


@pytest.mark.parametrize(
    "url", ["https://git.example.com/platform-of-others/lib", "https://git.example.com/platform/%2e%2e/x"]
)
async def test_text_in_git_chooses_no_other_repository(url: str) -> None:
    made = world({".gitmodules": gitmodules(lib=url)})
    made.git.others[url] = {FIRST: {"base/b.yaml": m.config("b")}}
    await made.run()
    assert made.git.fetched == []


async def test_submodules_within_it_are_seen_from_its_own_address() -> None:
    inner = {"base/b.yaml": m.config("b"), ".gitmodules": gitmodules(deep="../deep"), "deep": Gitlink(FIRST)}
    ran = await (made := world(lib=inner)).run()
    assert (ran.problems, made.live("ConfigMap/d") is not None) == ([], True)
    assert f"lib/deep {short(FIRST)}" in str(ran.status.revision)


async def test_more_and_deeper_ones_than_are_followed_are_refused() -> None:
    urls = {f"m{number}": LIB for number in range(17)}
    made = world({".gitmodules": gitmodules(**urls), **dict.fromkeys(urls, Gitlink(FIRST))})
    assert "more submodules" in str((await made.run()).errors[0])
    loop = {".gitmodules": gitmodules(lib=LIB), "lib": Gitlink(FIRST)}
    made = world(lib=loop)
    ran = await made.run()
    assert "deeper" in str(ran.errors[0])
    assert ran.errors[0].facts["submodule"] == "lib/lib/lib/lib/lib"


async def test_a_commit_that_its_repository_does_not_have_leaves_the_last_in_place_and_heals() -> None:
    made = world()
    await made.run()
    made.push({**made.git.commits[-1], "own/a.yaml": m.config(data="2"), "lib": Gitlink(SECOND)})
    made.edit("ConfigMap/b", "data", "value", to="edited")
    ran = await made.run()
    assert ran.errors[0].facts["submodule"] == "lib"
    assert ran.writes == ["apply ConfigMap/b"]
    made.git.others[LIB][SECOND] = made.git.others[LIB][FIRST]
    assert (await made.run()).writes == ["apply ConfigMap/a"]


async def test_a_new_process_shows_it_too() -> None:
    made = world()
    before = (await made.run()).status.revision
    made.restart()
    ran = await made.run()
    assert (ran.quiet, ran.status.revision) == (True, before)
    assert [each.path for each in made._stored().revision.modules] == ["lib"]


@pytest.mark.parametrize("at", ["lib", "own"])
async def test_a_key_of_one_repository_opens_no_file_of_the_other(at: str) -> None:
    sealed = encrypt(m.plain_secret(), recipient="age1granted")
    made = world({"own/db.yaml": sealed} if at == "own" else {}, lib={"db.yaml": sealed} if at == "lib" else None)
    made.keys.granted[""] = {"age1granted"}
    ran = await made.run()
    assert (made.live("Secret/db") is not None) is (at == "own")
    assert ("DataKey lib/db.yaml" in ran.problems) is (at == "lib")


async def test_a_key_that_its_repository_is_granted_opens_its_files() -> None:
    made = world(lib={"db.yaml": encrypt(m.plain_secret(), recipient="age1granted")})
    made.keys.granted[LIB] = {"age1granted"}
    assert (await made.run()).problems == []
    assert made.live("Secret/db") is not None


async def test_variables_of_it() -> None:
    lib = {"vars.yaml": "DOMAIN: example.com\n", "base/b.yaml": m.config("b")}
    own = {"own/a.yaml": m.config(data="${DOMAIN}")}
    made = world(own, layers=["own"], lib=lib, substitute={"files": ["lib/vars.yaml"]})
    assert (await made.run()).problems == []
    assert made.value("ConfigMap/a", "data", "value") == "example.com"


async def test_files_of_it_count_as_those_of_the_source() -> None:
    made = world(lib={f"{number}.yaml": m.config(f"c{number}") for number in range(4)})
    made.limits = m.operator(limits={"objects": 4}).limits
    assert "Limit" in str((await made.run()).problems)


async def test_a_further_source_has_its_own() -> None:
    url = "https://git.example.com/shop/platform"
    further = {"name": "p", "url": url, "revision": {"commit": SECOND}, "submodules": [{"url": LIB}]}
    made = Installation(files={"own/a.yaml": m.config()}, layers=["own", "p"], sources=[further])
    made.git.others = {
        url: {
            SECOND: {
                "c.yaml": m.config("c"),
                ".gitmodules": gitmodules(lib="../../platform/lib"),
                "lib": Gitlink(FIRST),
            }
        },
        LIB: {FIRST: {"b.yaml": m.config("b")}},
    }
    ran = await made.run()
    assert ran.problems == []
    assert sorted(ran.writes) == ["apply ConfigMap/a", "apply ConfigMap/b", "apply ConfigMap/c"]
    assert f"p/lib {short(FIRST)}" in str(ran.status.revision)
    assert made.git.fetched[-1].startswith("anonymous")


@pytest.mark.parametrize("path", ["p", "p/sub"])
async def test_none_stands_where_files_of_a_further_source_do_which_its_keys_would_open(path: str) -> None:
    url = "https://git.example.com/shop/platform"
    further = {"name": "p", "url": url, "revision": {"commit": SECOND}}
    named = f'[submodule "lib"]\n\tpath = {path}\n\turl = {LIB}\n'
    made = world({".gitmodules": named, path: Gitlink(FIRST)}, layers=["own", "p"], sources=[further])
    made.git.others[url] = {SECOND: {"sub/db.yaml": encrypt(m.plain_secret(), recipient="age1granted")}}
    made.keys.granted[LIB] = {"age1granted"}
    ran = await made.run()
    assert made.live("Secret/db") is None
    assert ran.errors[0].facts["file"] == path


@pytest.mark.parametrize(("rules", "read"), [([], True), (["platform/*"], False), (["platform/*", "x"], True)])
async def test_commits_that_need_a_signature_are_not_taken_by_ones_that_need_none(rules: list[str], read: bool) -> None:
    asked = [{"repositories": [f"git.example.com/{each}"], "sshSigners": "/etc/signers"} for each in rules]
    made = world(operator=m.operator(git={"signatures": asked}))
    ran = await made.run()
    assert (made.live("ConfigMap/b") is not None) is read
    assert [each.reason for each in ran.errors] == ([] if read else ["Signature"])
