"""What KSOPS' generators ask for, which files they name, and what of them is refused, with a line and a cure."""

import base64
import json

import pytest

from agent.manifests import ksops, ksops_component
from agent.values import placeholders
from agent.values.errors import LimitError, RenderError
from agent.values.expressions import Expression
from agent.yaml.read import manifests

KSOPS = "apiVersion: viaduct.ai/v1\nkind: ksops\nmetadata: {name: x}\n"
FUNCTION = (
    "apiVersion: viaduct.ai/v1\nkind: ksops\nmetadata:\n  annotations:\n    config.kubernetes.io/function: |\n      "
)
FILE = "apps/kustomization.yaml"
P, Q = placeholders.of("file", "a", "1"), placeholders.of("sops", "b")


def find(entries, contents):
    tree = {"generators": entries}
    return ksops.find(tree, json.dumps(tree).encode(), file=FILE, contents={k: v.encode() for k, v in contents.items()})


def component(generator, leaves=(), whole=()):
    found = find(["g.yaml"], {"apps/g.yaml": generator})
    sources = {}
    writer = ksops_component.Writer({k: v.encode() for k, v in dict(leaves).items()}, dict(whole), sources)
    return writer.component(found.generators, "apps/.k"), sources


def test_the_files_of_generators_are_found_from_the_folder_of_the_kustomization():
    made = "secretFrom: [{metadata: {name: made}, files: [k=/b.txt], binaryFiles: [../c.bin], envs: [d.env]}]\n"
    found = find(
        ["gen/g.yaml", KSOPS + made, "other.yaml", "later.yaml"],
        {"apps/gen/g.yaml": KSOPS + "files: [a.yaml, ../x/b.yaml]\n", "apps/other.yaml": "kind: ConfigMapGenerator\n"},
    )
    assert [(each.file, [*each.leaves], [*each.whole]) for each in found.generators] == [
        ("apps/gen/g.yaml", ["apps/a.yaml", "x/b.yaml"], []),
        (FILE, ["apps/d.env"], ["b.txt", "c.bin"]),
    ]
    assert found.others == ("other.yaml", "later.yaml")
    assert found.missing == ("apps/later.yaml",)


@pytest.mark.parametrize("program", ["ksops", "./ksops", "/usr/local/bin/ksops"])
def test_the_function_may_be_ksops_itself(program):
    text = f"{FUNCTION}exec:\n        path: {program}\nfiles: [a.yaml]\n"
    assert len(find(["g.yaml"], {"apps/g.yaml": text}).generators) == 1


@pytest.mark.parametrize(
    ("generator", "line", "says"),
    [
        (FUNCTION + "exec: {path: /bin/sh}\nfiles: [a]\n", 5, "another program than ksops"),
        (FUNCTION + "exec: {path: ksops/sh}\nfiles: [a]\n", 5, "another program than ksops"),
        (FUNCTION + "container: {image: ksops}\nfiles: [a]\n", 5, "another program than ksops"),
        (FUNCTION + "{exec: {path: ksops}, container: {image: x}}\nfiles: [a]\n", 5, "another program than ksops"),
        (KSOPS, 2, "names nothing"),
        (KSOPS + "files: a.yaml\n", 4, "no list of paths"),
        (KSOPS + "files: [{a: b}]\n", 4, "no list of paths"),
        (KSOPS + "files: [a, a]\n", 4, "twice"),
        (KSOPS + "secretFrom: [x]\n", 4, "no list of maps"),
        (KSOPS + "secretFrom: [{metadata: x}]\n", 4, "another shape"),
        (KSOPS + "secretFrom:\n- files: [a=b=c]\n", 5, "neither path nor key=path"),
        (KSOPS + "secretFrom:\n- binaryFiles: ['=c']\n", 5, "neither path nor key=path"),
        (KSOPS + "files: [a]\n---\napiVersion: builtin\nkind: SecretGenerator\n", 2, "ksops and other generators"),
    ],
)
def test_what_is_no_generator_of_ksops_is_refused(generator, line, says):
    with pytest.raises(RenderError, match=says) as refused:
        find(["g.yaml"], {"apps/g.yaml": generator})
    assert (refused.value.facts["file"], refused.value.facts["line"]) == ("apps/g.yaml", line)
    assert refused.value.hint


def test_sealed_files_are_values_of_the_secrets_that_ksops_makes_of_them():
    generator = (
        KSOPS + "secretFrom: [{metadata: {name: made}, files: [k=a.txt], binaryFiles: [a.txt], envs: [b.env]}]\n"
    )
    made, sources = component(generator, {"apps/b.env": f"A={Q}\nB='x y'\n"}, {"apps/a.txt": P})
    secret = manifests.parse(made.files["apps/.k/0.yaml"], file="")[0].tree
    lines = Expression("godotenv", (Q,))
    assert secret["stringData"] == {"k": P, "A": lines.placeholder, "B": "x y"}
    assert secret["data"] == {"a.txt": base64.b64encode(P.encode()).decode()}
    assert sources == {lines.placeholder: lines}
    assert made.origins == {"apps/.k/0.yaml": "apps/g.yaml"}


def test_a_file_of_resources_that_ask_for_nothing_stays_itself():
    made, _ = component(KSOPS + "files: [a.yaml]\n", {"apps/a.yaml": "kind: Secret\n"})
    assert made.resources == ["../a.yaml"]
    assert [*made.files] == ["apps/.k/kustomization.yaml"]


@pytest.mark.parametrize(
    ("generator", "leaves", "place", "says"),
    [
        ("files: [a.yaml]\n", {}, ("apps/g.yaml", 4), "not encrypted with sops"),
        ("secretFrom: [{metadata: {name: made}, files: [a.txt]}]\n", {}, ("apps/g.yaml", 4), "not encrypted with sops"),
        (
            "secretFrom:\n- metadata: {name: made}\n  envs: [a.txt]\n",
            {"apps/a.txt": "A=1\n"},
            ("apps/g.yaml", 6),
            "suffix than .env",
        ),
        (
            "secretFrom: [{metadata: {name: made}, envs: [a.env]}]\n",
            {"apps/a.env": "A=1\nA: b=c\n"},
            ("apps/a.env", 2),
            "does not read this line",
        ),
        ("secretFrom: [{metadata: {labels: {a: b}}}]\n", {}, ("apps/g.yaml", 4), "has no name"),
        (
            "secretFrom: [{metadata: {name: made}, envs: [a.env]}]\n",
            {"apps/a.env": "A\n"},
            ("apps/a.env", 1),
            "does not read this line",
        ),
        (
            "secretFrom: [{metadata: {name: made}, envs: [a.env]}]\n",
            {"apps/a.env": "A=$HOME\n"},
            ("apps/a.env", 1),
            "names a variable",
        ),
        (
            "files: [a.yaml]\n",
            {"apps/a.yaml": "metadata: {annotations: {kustomize.config.k8s.io/needs-hash: maybe}}\n"},
            ("apps/g.yaml", 2),
            "neither true nor false",
        ),
        (
            "files: [a.yaml]\n",
            {"apps/a.yaml": "kind: Pod\nmetadata: {annotations: {kustomize.config.k8s.io/behavior: merge}}\n"},
            ("apps/g.yaml", 2),
            "only a v1 Secret or ConfigMap",
        ),
        (
            "files: [a.yaml]\n",
            {"apps/a.yaml": f"kind: Secret\nmetadata: {{annotations: {{kustomize.config.k8s.io/behavior: {P}}}}}\n"},
            ("apps/g.yaml", 2),
            "encrypted behavior",
        ),
    ],
)
def test_what_ksops_would_not_take_is_refused(generator, leaves, place, says):
    with pytest.raises(RenderError, match=says) as refused:
        component(KSOPS + generator, leaves)
    assert (refused.value.facts["file"], refused.value.facts["line"]) == place
    assert refused.value.hint


def test_what_generators_ask_for_is_bounded_however_often_they_name_a_file():
    lines = "".join(f"K{number}={'x' * 50}\n" for number in range(2000))
    secrets = "".join(f"- {{metadata: {{name: n{number}}}, envs: [a.env]}}\n" for number in range(200))
    with pytest.raises(LimitError):
        component(f"{KSOPS}secretFrom:\n{secrets}", {"apps/a.env": lines})
