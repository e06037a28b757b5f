"""Overlays that name bases of other repositories: what is fetched, with which credential, and what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from memory_world import sources
from memory_world.sealed_files import encrypt
from whole_runs import manifests as m
from whole_runs.installation import Installation

if TYPE_CHECKING:
    from agent.adapters.render.pool import Renderers

URL = "https://git.example.com/platform/bases"
OTHER = "https://git.example.com/platform/other"
COMMIT, SECOND = "ab" * 20, "cd" * 20


def world(
    renderers: Renderers,
    files: dict[str, str],
    base: dict[str, str],
    *,
    granted: tuple[str, ...] = ("https://git.example.com/platform",),
    declared: tuple[dict[str, object], ...] = ({"url": URL}, {"url": OTHER}),
    **limits: int,
) -> Installation:
    """`base` are the files of the other repository at COMMIT."""
    made = Installation(
        files=files,
        operator=m.operator(git={"remoteBases": granted}, **({"limits": limits} if limits else {})),
        render={"kustomize": {"path": "prod", "remoteBases": declared}},
    )
    made.limits = made.operator.limits
    made.git.others = {URL: {COMMIT: base}, OTHER: {}}
    made.renderers = sources.Renderers(renderers)
    return made


def overlay(*resources: str, more: str = "") -> dict[str, str]:
    return {"prod/kustomization.yaml": f"resources: [{', '.join(resources)}]\n{more}"}


NAMED = f"'{URL}//web/base?ref={COMMIT}'"
BASE = {
    "web/base/kustomization.yaml": "resources: [../parts, a.yaml]\n",
    "web/base/a.yaml": m.config(),
    "web/parts/kustomization.yaml": "resources: [b.yaml]\n",
    "web/parts/b.yaml": m.config("b"),
    "kustomization.yaml": "resources: [web/base]\nnamePrefix: root-\n",
    "unused.yaml": "a: [",
}


@pytest.mark.parametrize(
    "text",
    [
        f"{URL}//web/base?ref={COMMIT}",
        f"{URL}.git//web/base/?timeout=90s&ref={COMMIT}",
        f"{URL}/web/base?version={COMMIT}&submodules=false",
        f"git.example.com/platform/bases/web/base?ref={COMMIT}",
    ],
)
async def test_a_base_of_another_repository_is_a_folder_of_the_overlay(renderers: Renderers, text: str) -> None:
    files = overlay(f"'{text}'", "own.yaml", more="namePrefix: p-\n")
    made = world(renderers, {**files, "prod/own.yaml": m.config("own")}, BASE)
    ran = await made.run()
    assert (ran.problems, ran.warnings) == ([], [])
    assert ran.writes == ["apply ConfigMap/p-a", "apply ConfigMap/p-b", "apply ConfigMap/p-own"]
    assert made.git.fetched == [f"anonymous {URL} abab"]


async def test_objects_are_known_by_repository_commit_and_file(renderers: Renderers) -> None:
    base = {**BASE, "web/base/a.yaml": m.config(data="${NONE}")}
    made = world(renderers, overlay(f"'{URL}?ref={COMMIT}'"), base)
    made.spec(substitute={})
    ran = await made.run()
    assert ran.error_of("ConfigMap/root-a").facts["file"] == f"{URL}//web/base/a.yaml?ref={COMMIT}"


async def test_each_repository_is_asked_with_its_own_credential(renderers: Renderers) -> None:
    declared: tuple[dict[str, object], ...] = (
        {"url": URL, "credentials": {"secretName": "bases-login"}},
        {"url": OTHER},
    )
    base = {"kustomization.yaml": f"resources: ['{OTHER}?ref={SECOND}']\n"}
    made = world(renderers, overlay(f"'{URL}?ref={COMMIT}'"), base, declared=declared)
    made.git.others[OTHER] = {SECOND: {"kustomization.yaml": "resources: [a.yaml]\n", "a.yaml": m.config()}}
    ran = await made.run()
    assert (ran.problems, ran.writes) == ([], ["apply ConfigMap/a"])
    assert made.git.fetched == [f"bases-login {URL} abab", f"anonymous {OTHER} cdcd"]


async def test_another_commit_of_a_base_is_rendered_and_nothing_else_is(renderers: Renderers) -> None:
    made = world(renderers, overlay(NAMED), BASE)
    await made.run()
    made.push({**overlay(NAMED), "README.md": "more"})
    ran = await made.run()
    assert (ran.quiet, len(made.renderers.asked)) == (True, 1)
    made.git.others[URL][SECOND] = {**BASE, "web/base/a.yaml": m.config(data="2")}
    made.push(overlay(NAMED.replace(COMMIT, SECOND)))
    ran = await made.run()
    assert (ran.problems, ran.writes, len(made.renderers.asked)) == ([], ["apply ConfigMap/a"], 2)


async def test_components_and_a_base_that_two_overlays_name_are_fetched_once(renderers: Renderers) -> None:
    component = "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\ncommonAnnotations: {x: z}\n"
    files = overlay("../one", more=f"components: ['{URL}//component?ref={COMMIT}']\n")
    files["one/kustomization.yaml"] = f"resources: [{NAMED}]\n"
    made = world(renderers, files, {**BASE, "component/kustomization.yaml": component})
    ran = await made.run()
    assert (ran.problems, len(made.git.fetched)) == ([], 1)
    assert made.value("ConfigMap/a", "metadata", "annotations", "x") == "z"


KUSTOMIZATION = "prod/kustomization.yaml"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (f"{URL}//web/base?ref=main", "not named by a full commit"),
        (f"{URL}//web/base?ref={COMMIT[:12]}", "not named by a full commit"),
        (f"{URL}//web/base", "not named by a full commit"),
        (f"{URL}//web/base?ref={COMMIT}&ref={SECOND}", "not named by a full commit"),
        (f"{URL}//web/base?ref={COMMIT}&sshkey=x", "not named by a full commit"),
        (f"{URL}//web/../../base?ref={COMMIT}", "not a folder of its repository"),
        (f"{URL}//none?ref={COMMIT}", "has no kustomization"),
        (f"{URL}-more//web/base?ref={COMMIT}", "remote bases are not fetched"),
        (f"https://git.example.com/foreign//web?ref={COMMIT}", "remote bases are not fetched"),
        (f"https://git.example.com/platform/bases@evil.example.com/x?ref={COMMIT}", "remote bases are not fetched"),
    ],
)
async def test_other_forms_and_repositories_are_refused_with_their_line(
    renderers: Renderers, text: str, says: str
) -> None:
    made = world(renderers, {KUSTOMIZATION: f"resources:\n- a.yaml\n- '{text}'\n", "prod/a.yaml": m.config()}, BASE)
    ran = await made.run()
    assert (ran.problems, ran.writes) == ([f"RemoteBase {KUSTOMIZATION}"], [])
    assert says in str(ran.errors[0])
    assert (ran.errors[0].facts["line"], bool(ran.errors[0].hint)) == (3, True)


@pytest.mark.parametrize(
    "granted", [(), ("https://git.example.com/plat",), ("https://git.example.com/platform/other",)]
)
async def test_a_repository_that_the_operator_does_not_grant_is_not_fetched(
    renderers: Renderers, granted: tuple[str, ...]
) -> None:
    made = world(renderers, overlay(NAMED), BASE, granted=granted)
    ran = await made.run()
    assert (ran.problems, made.git.fetched) == ([f"RemoteBase {KUSTOMIZATION}"], [])
    assert "operator does not grant" in str(ran.errors[0])


async def test_a_commit_that_no_branch_leads_to_leaves_the_last_good_state(renderers: Renderers) -> None:
    made = world(renderers, overlay(NAMED), BASE)
    await made.run()
    made.push(overlay(NAMED.replace(COMMIT, SECOND)))
    ran = await made.run()
    assert (ran.problems, ran.writes) == (["Source"], [])
    made.edit("ConfigMap/a", "data", "value", to="edited")
    await made.heal()
    assert made.value("ConfigMap/a", "data", "value") == "1"


OUT = "../../../../prod/a.yaml"


@pytest.mark.parametrize(
    "base",
    [
        {"web/base/kustomization.yaml": f"resources: [{OUT}]\n"},
        {"web/base/kustomization.yaml": "resources: [/prod/a.yaml]\n"},
        {"web/base/kustomization.yaml": "resources: [../../../../prod]\n"},
        {"web/base/kustomization.yaml": f"patches: [{{path: {OUT}}}]\n"},
        {"web/base/kustomization.yaml": f"configMapGenerator: [{{name: x, files: [k={OUT}]}}]\n"},
        {"web/base/kustomization.yaml": f"secretGenerator: [{{name: x, envs: [{OUT}]}}]\n"},
        {
            "web/base/kustomization.yaml": "generators: [g.yaml]\n",
            "web/base/g.yaml": "apiVersion: builtin\nkind: ConfigMapGenerator\nmetadata: {name: x}\n"
            f"files: [{OUT}]\n",
        },
        {
            "web/base/kustomization.yaml": "generators: [g.yaml]\n",
            "web/base/g.yaml": f"apiVersion: viaduct.ai/v1\nkind: ksops\nmetadata: {{name: x}}\nfiles: [{OUT}]\n",
        },
        {"web/base/kustomization.yaml": "resources: [a.yaml]\n", "web/base/a.yaml": encrypt(m.plain_secret())},
        {
            "web/base/kustomization.yaml": "secretGenerator: [{name: x, files: [a.txt]}]\n",
            "web/base/a.txt": encrypt("a", "a.txt"),
        },
    ],
)
async def test_a_base_takes_no_file_of_the_own_repository_and_none_that_is_encrypted(
    renderers: Renderers, base: dict[str, str]
) -> None:
    made = world(renderers, {**overlay(NAMED, "a.yaml"), "prod/a.yaml": encrypt(m.plain_secret())}, base)
    ran = await made.run()
    [problem] = ran.problems
    assert problem.startswith(f"RemoteBase {URL}//web/base/")
    assert (ran.writes, ran.opened, bool(ran.errors[0].hint)) == ([], [], True)


async def test_a_base_whose_kustomization_cannot_be_read_is_refused(renderers: Renderers) -> None:
    base = {**BASE, "web/base/kustomization.yaml": "resources: [a.yaml]\nresources: [b.yaml]\na: [\n"}
    ran = await world(renderers, overlay(NAMED), base).run()
    assert ran.problems == [f"Yaml {URL}//web/base/kustomization.yaml?ref={COMMIT}"]


@pytest.mark.parametrize("depth", [5, 17])
async def test_bases_are_bounded_in_number_and_depth(renderers: Renderers, depth: int) -> None:
    commits = [f"{number:040x}" for number in range(1, depth + 1)]
    files, chain = overlay(*(f"'{URL}?ref={each}'" for each in (commits if depth > 16 else commits[:1]))), {}
    for commit, following in zip(commits, [*commits[1:], ""], strict=True):
        resources = f"['{URL}?ref={following}']" if following and depth < 16 else "[a.yaml]"
        chain[commit] = {"kustomization.yaml": f"resources: {resources}\n", "a.yaml": m.config(f"c{commit[-2:]}")}
    made = world(renderers, files, BASE)
    made.git.others[URL] = chain
    ran = await made.run()
    assert [each.split()[0] for each in ran.problems] == ["Limit"]


async def test_bases_that_name_one_another_are_an_error_of_kustomize(renderers: Renderers) -> None:
    made = world(renderers, overlay(f"'{URL}?ref={COMMIT}'"), {})
    made.git.others = {
        URL: {COMMIT: {"kustomization.yaml": f"resources: ['{OTHER}?ref={SECOND}']\n"}},
        OTHER: {SECOND: {"kustomization.yaml": f"resources: ['{URL}?ref={COMMIT}']\n"}},
    }
    ran = await made.run()
    assert [each.split()[0] for each in ran.problems] == ["Render"]
    assert len(made.git.fetched) == 2


async def test_files_of_bases_count_like_those_of_the_own_repository(renderers: Renderers) -> None:
    base = {**BASE, "web/base/a.yaml": m.config(data="x" * 3000)}
    ran = await world(renderers, overlay(NAMED), base, fileBytes=2000).run()
    assert ran.problems == [f"Limit {URL}//web/base/a.yaml?ref={COMMIT}"]


async def test_a_folder_where_a_base_would_be_is_no_part_of_it(renderers: Renderers) -> None:
    made = world(renderers, overlay(NAMED), BASE)
    await made.run()
    [asked] = made.renderers.asked
    folder = next(path for path in asked.sources.files if path.startswith(".remote-bases")).rpartition("/web/")[0]
    made.push({**overlay(NAMED), f"{folder}/web/base/a.yaml": m.config("forged"), f"{folder}/x": ""})
    ran = await made.run()
    assert [each.split()[0] for each in ran.problems] == ["RemoteBase"]


@pytest.mark.parametrize("up", ["../../../../", "./" * 300 + "../../../../", "../" * 8, "../" * 200])
async def test_no_long_way_leads_out_of_a_base(renderers: Renderers, up: str) -> None:
    files = {**overlay(NAMED, "../lib"), "lib/kustomization.yaml": "resources: [s.yaml]\n", "lib/s.yaml": m.config()}
    base = {"web/base/kustomization.yaml": f"namePrefix: taken-\nresources: ['{up}lib']\n"}
    ran = await world(renderers, files, base).run()
    assert (ran.problems, ran.writes) == ([f"RemoteBase {URL}//web/base/kustomization.yaml?ref={COMMIT}"], [])
    assert ran.errors[0].facts["path"] == "lib"
