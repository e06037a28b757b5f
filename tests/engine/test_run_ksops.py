"""Overlays whose generators are KSOPS': their files become objects as KSOPS makes them, with the real renderer, and no program runs."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest
from memory_world import sources
from memory_world.sealed_files import encrypt
from whole_runs import manifests as m
from whole_runs.installation import Installation

from agent.values.reveal import reveal
from agent.values.secret import Secret

if TYPE_CHECKING:
    from agent.adapters.render.pool import Renderers

KSOPS = """\
apiVersion: viaduct.ai/v1
kind: ksops
metadata:
  name: secrets
  annotations:
    config.kubernetes.io/function: |
      exec: {path: ksops}
"""
SECRET = "apiVersion: v1\nkind: Secret\nmetadata: {name: db%s}\nstringData: {password: hunter2}\n"
ANNOTATED = ", annotations: {'kustomize.config.k8s.io/%s': '%s'}"
POD = "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec: {containers: [{name: c, image: i, envFrom: [{secretRef: {name: db}}]}]}\n"


def world(renderers: Renderers, files: dict[str, str], kustomization: str = "") -> Installation:
    """The overlay is `prod`, and its generator is `prod/ksops.yaml`."""
    more = {"prod/kustomization.yaml": kustomization + "generators: [ksops.yaml]\n"}
    made = Installation(files={**more, **files}, render={"kustomize": {"path": "prod"}})
    made.renderers = sources.Renderers(renderers)
    made.stores.write("kv/db", password="first")
    return made


def value(made: Installation, name: str, key: str) -> str:
    found = made.value(f"Secret/{name}", "data", key)
    return base64.b64decode(str(reveal(found) if isinstance(found, Secret) else found)).decode()


async def test_resources_are_applied_and_nothing_is_opened_for_the_renderer(renderers: Renderers) -> None:
    files = {"prod/ksops.yaml": KSOPS + "files: [db.enc.yaml]\n", "prod/db.enc.yaml": encrypt(SECRET % "")}
    made = world(renderers, files, "namePrefix: p-\n")
    ran = await made.run()
    assert (ran.problems, ran.warnings, ran.writes) == ([], [], ["apply Secret/p-db"])
    assert value(made, "p-db", "password") == "hunter2"
    [asked] = made.renderers.asked
    assert not any(b"hunter2" in data for data in asked.sources.files.values())
    assert not any("hunter2" in text for text in asked.replaced.values())


async def test_a_secret_is_made_of_files_and_lines(renderers: Renderers) -> None:
    generator = """\
secretFrom:
- metadata: {name: made, labels: {a: b}}
  type: example.com/kind
  files: [app.conf, renamed=app.conf]
  binaryFiles: [blob.bin]
  envs: [more.env]
"""
    files = {
        "prod/ksops.yaml": KSOPS + generator,
        "prod/app.conf": encrypt("user=a\n", "app.conf"),
        "prod/blob.bin": encrypt("bytes", "blob.bin"),
        "prod/more.env": encrypt("password='two words' # c\ndata=db\n", "more.env"),
    }
    made = world(renderers, files)
    ran = await made.run()
    assert (ran.problems, ran.warnings, ran.writes) == ([], [], ["apply Secret/made"])
    found = {key: value(made, "made", key) for key in ("app.conf", "renamed", "blob.bin", "password", "data")}
    assert found == {
        "app.conf": "user=a\n",
        "renamed": "user=a\n",
        "blob.bin": "bytes",
        "password": "two words",
        "data": "db",
    }
    assert made.value("Secret/made", "metadata", "labels", "a") == "b"


async def test_a_name_gets_a_suffix_that_others_follow_until_the_file_changes(renderers: Renderers) -> None:
    files = {"prod/ksops.yaml": KSOPS + "files: [db.enc.yaml]\n", "prod/web.yaml": POD}
    sealed = SECRET % ANNOTATED % ("needs-hash", "true")
    made = world(renderers, {**files, "prod/db.enc.yaml": encrypt(sealed)}, "resources: [web.yaml]\n")
    ran = await made.run()
    assert ran.problems == []
    [name] = [each.removeprefix("apply Secret/") for each in ran.writes if "Secret" in each]
    assert name.startswith("db-")
    reference = made.value("Pod/web", "spec", "containers")
    assert isinstance(reference, list)
    assert reference[0]["envFrom"] == [{"secretRef": {"name": name}}]


async def test_a_secret_is_merged_with_one_of_the_base(renderers: Renderers) -> None:
    files = {
        "base/kustomization.yaml": "resources: [db.yaml]\n",
        "base/db.yaml": SECRET.replace("password: hunter2", "user: shop, password: old") % "",
        "prod/ksops.yaml": KSOPS + "files: [db.enc.yaml]\n",
        "prod/db.enc.yaml": encrypt(SECRET % ANNOTATED % ("behavior", "merge")),
    }
    made = world(renderers, files, "resources: [../base]\n")
    ran = await made.run()
    assert (ran.problems, ran.writes) == ([], ["apply Secret/db"])
    assert (value(made, "db", "user"), value(made, "db", "password")) == ("shop", "hunter2")


async def test_generators_of_bases_and_those_that_stand_inline_are_read(renderers: Renderers) -> None:
    inline = "generators:\n- |\n" + "".join(f"  {line}\n" for line in (KSOPS + "files: [db.enc.yaml]\n").splitlines())
    files = {
        "base/kustomization.yaml": inline,
        "base/db.enc.yaml": encrypt(SECRET % ""),
        "prod/ksops.yaml": KSOPS + "files: [../own/db.enc.yaml]\n",
        "own/db.enc.yaml": encrypt(SECRET.replace("name: db", "name: own") % ""),
    }
    ran = await world(renderers, files, "resources: [../base]\n").run()
    assert (ran.problems, ran.writes) == ([], ["apply Secret/db", "apply Secret/own"])


async def test_other_generators_beside_it_are_kept(renderers: Renderers) -> None:
    files = {
        "prod/kustomization.yaml": "generators: [ksops.yaml, map.yaml]\n"
        "configMapGenerator: [{name: lit, literals: ['a=b'], options: {disableNameSuffixHash: true}}]\n",
        "prod/map.yaml": "apiVersion: builtin\nkind: ConfigMapGenerator\nmetadata: {name: map}\nliterals: [a=b]\n"
        "options: {disableNameSuffixHash: true}\n",
        "prod/ksops.yaml": KSOPS + "files: [db.enc.yaml]\n",
        "prod/db.enc.yaml": encrypt(SECRET % ""),
    }
    ran = await world(renderers, files).run()
    assert (ran.problems, ran.writes) == ([], ["apply ConfigMap/lit", "apply ConfigMap/map", "apply Secret/db"])


async def test_literals_with_references_stand_beside_it(renderers: Renderers) -> None:
    generator = (
        "secretGenerator: [{name: lit, literals: ['pw=vault://main/kv/db#password'], "
        "options: {disableNameSuffixHash: true}}]\n"
    )
    files = {"prod/ksops.yaml": KSOPS + "files: [db.enc.yaml]\n", "prod/db.enc.yaml": encrypt(SECRET % "")}
    made = world(renderers, files, generator)
    ran = await made.run()
    assert ran.problems == []
    assert (value(made, "lit", "pw"), value(made, "db", "password")) == ("first", "hunter2")


async def test_what_a_generator_says_is_rendered_when_it_changes_and_only_then(renderers: Renderers) -> None:
    files = {
        "prod/kustomization.yaml": "generators: [ksops.yaml]\n",
        "prod/ksops.yaml": KSOPS + "secretFrom: [{metadata: {name: one}, files: [app.conf]}]\n",
        "prod/app.conf": encrypt("user=a\n", "app.conf"),
    }
    made = world(renderers, files)
    await made.run()
    made.push({**files, "README.md": "more"})
    ran = await made.run()
    assert (ran.quiet, len(made.renderers.asked)) == (True, 1)
    made.push({**files, "prod/ksops.yaml": files["prod/ksops.yaml"].replace("[app.conf]", "[other=app.conf]")})
    ran = await made.run()
    assert (ran.problems, len(made.renderers.asked)) == ([], 2)
    assert value(made, "one", "other") == "user=a\n"


async def test_a_file_of_that_folder_in_git_is_no_other_one(renderers: Renderers) -> None:
    files = {
        "prod/.ksops/kustomization.yaml": "resources: [0.yaml]\n",
        "prod/.ksops/0.yaml": m.config(),
        "prod/ksops.yaml": KSOPS + "secretFrom: [{metadata: {name: one}, files: [app.conf]}]\n",
        "prod/app.conf": encrypt("user=a\n", "app.conf"),
    }
    ran = await world(renderers, files, "resources: [.ksops]\n").run()
    assert (ran.problems, ran.writes) == ([], ["apply ConfigMap/a", "apply Secret/one"])


SEALED = {"prod/db.enc.yaml": encrypt(SECRET % "")}


@pytest.mark.parametrize(
    ("files", "problem", "line"),
    [
        ({"prod/ksops.yaml": KSOPS + "files: [none.yaml]\n"}, "Render prod/ksops.yaml", 8),
        ({"prod/kustomization.yaml": "generators: [ksops.yaml, ./ksops.yaml]\n"}, "Render prod/kustomization.yaml", 1),
        ({"prod/ksops.yaml": KSOPS + "files: [../../../etc/passwd]\n"}, "Render prod/ksops.yaml", 8),
        (
            {"prod/ksops.yaml": KSOPS + "files: [a.yaml]\n", "prod/a.yaml": SECRET % ""},
            "Render prod/ksops.yaml",
            8,
        ),
        (
            {"prod/ksops.yaml": KSOPS.replace("ksops}", "/bin/sh}") + "files: [db.enc.yaml]\n"},
            "Render prod/ksops.yaml",
            6,
        ),
        ({"prod/ksops.yaml": KSOPS + "secretFrom: [{files: [db.enc.yaml]}]\n"}, "Render prod/ksops.yaml", 8),
        (
            {"prod/ksops.yaml": KSOPS + "files: [db.enc.yaml]\n---\n" + KSOPS + "files: [db.enc.yaml]\n"},
            "Render prod/kustomization.yaml",
            None,
        ),
        (
            {
                "prod/ksops.yaml": KSOPS + "files: [db.enc.yaml]\n",
                "prod/db.enc.yaml": encrypt(SECRET % ANNOTATED % ("behavior", "merge")),
            },
            "Render prod/kustomization.yaml",
            None,
        ),
        (
            {
                "prod/ksops.yaml": KSOPS + "files: [db.enc.yaml]\n",
                "prod/db.enc.yaml": encrypt(SECRET % "", recipient="age1other"),
            },
            "DataKey prod/db.enc.yaml",
            None,
        ),
        (
            {
                "prod/ksops.yaml": KSOPS + "files: [db.enc.yaml]\n",
                "prod/db.enc.yaml": SEALED["prod/db.enc.yaml"].replace("name: db", "name: altered"),
            },
            "MacMismatch prod/db.enc.yaml",
            None,
        ),
        (
            {
                "prod/ksops.yaml": KSOPS
                + "files: [db.enc.yaml]\nsecretFrom: [{metadata: {name: x}, files: [db.enc.yaml]}]\n",
            },
            "Manifest prod/db.enc.yaml",
            None,
        ),
    ],
)
async def test_what_ksops_would_not_make_leaves_the_last_good_state(
    renderers: Renderers, files: dict[str, str], problem: str, line: int | None
) -> None:
    made = world(renderers, {**SEALED, "prod/ksops.yaml": KSOPS + "files: [db.enc.yaml]\n"})
    await made.run()
    made.push({"prod/kustomization.yaml": "generators: [ksops.yaml]\n", **SEALED, **files})
    ran = await made.run()
    assert (ran.problems, ran.writes) == ([problem], [])
    assert ran.errors[0].facts.get("line") == line
    assert ran.errors[0].hint


async def test_files_that_every_folder_names_are_read_a_bounded_number_of_times(renderers: Renderers) -> None:
    folders = [f"f{number}" for number in range(20)]
    files = {f"{each}/kustomization.yaml": "generators: [../ksops.yaml]\n" for each in folders}
    files["ksops.yaml"] = KSOPS + "files: [db.enc.yaml]\n" + "#" * 900_000
    ran = await world(renderers, files, f"resources: [{', '.join('../' + each for each in folders)}]\n").run()
    assert ran.problems == ["Limit ksops.yaml"]
