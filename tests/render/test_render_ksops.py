"""What KSOPS' generators come to is what kustomize makes of the objects that KSOPS prints, which a program of its name does here."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest

from agent.engine.renderers import Kustomization, SourceTree
from agent.manifests import ksops, ksops_component
from agent.values.errors import RenderError
from agent.values.ids import ApplicationId
from agent.yaml.read import manifests
from testbed import binaries

if TYPE_CHECKING:
    from pathlib import Path

    from agent.adapters.render.pool import Renderers
    from agent.engine.renderers import Rendered
    from agent.values.tree import Tree

GENERATOR = """\
apiVersion: viaduct.ai/v1
kind: ksops
metadata:
  name: secrets
  annotations:
    config.kubernetes.io/function: |
      exec:
        path: ./ksops
"""
BASE = {
    "base/kustomization.yaml": "resources: [cfg.yaml]\nsecretGenerator: [{name: gen, literals: [a=b, c=d]}]\n",
    "base/cfg.yaml": json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "cfg", "labels": {"a": "b"}, "annotations": {"x": "y"}},
            "type": "example.com/old",
            "immutable": False,
            "data": {"old": "b2xk", "both": "b2xk"},
        }
    ),
}


def secret(name: str, annotations: dict[str, str] | None = None, /, **fields: object) -> dict[str, object]:
    """As KSOPS prints it."""
    metadata = {"name": name, **({"annotations": annotations} if annotations else {})}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, **fields}


def behavior(text: str) -> dict[str, str]:
    return {"kustomize.config.k8s.io/behavior": text}


HASHED = {"kustomize.config.k8s.io/needs-hash": "true"}
MAP: dict[str, object] = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "map"}, "data": {"a": "b"}}
USER = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "user"},
    "spec": {"containers": [{"name": "c", "image": "i", "envFrom": [{"secretRef": {"name": "db"}}]}]},
}

CASES: dict[str, tuple[str, str, dict[str, object], list[dict[str, object]]]] = {
    "resources": (
        "resources: [../base]\nnamePrefix: p-\n",
        "files: [a.enc.yaml, b.enc.yaml]\n",
        {"a.enc.yaml": secret("db", stringData={"p": "1"}), "b.enc.yaml": MAP},
        [secret("db", stringData={"p": "1"}), MAP],
    ),
    "names with a suffix, which others follow": (
        "resources: [user.yaml]\n",
        "files: [a.enc.yaml]\n",
        {"a.enc.yaml": secret("db", HASHED, stringData={"p": "1"}), "user.yaml": USER},
        [secret("db", HASHED, stringData={"p": "1"})],
    ),
    "a Secret that is merged": (
        "resources: [../base]\n",
        "files: [a.enc.yaml]\n",
        {
            "a.enc.yaml": secret(
                "cfg", behavior("merge") | {"x": "z"}, data={"both": "bmV3", "new": "bmV3"}, stringData={"t": "1"}
            )
        },
        [secret("cfg", behavior("merge") | {"x": "z"}, data={"both": "bmV3", "new": "bmV3"}, stringData={"t": "1"})],
    ),
    "a Secret that replaces one whose name has a suffix": (
        "resources: [../base]\nnameSuffix: -x\n",
        "files: [a.enc.yaml]\n",
        {"a.enc.yaml": secret("gen", behavior("replace"), type="Opaque", data={"n": "bmV3"})},
        [secret("gen", behavior("replace"), type="Opaque", data={"n": "bmV3"})],
    ),
    "a Secret that replaces one and has a suffix": (
        "resources: [../base]\n",
        "files: [a.enc.yaml]\n",
        {"a.enc.yaml": secret("cfg", behavior("replace") | HASHED, stringData={"n": "1"}, immutable=True)},
        [secret("cfg", behavior("replace") | HASHED, stringData={"n": "1"}, immutable=True)],
    ),
    "a Secret of files": (
        "namespace: shop\ncommonLabels: {app: web}\n",
        """\
secretFrom:
- metadata: {name: made, labels: {l: m}, annotations: {kustomize.config.k8s.io/needs-hash: "true"}}
  type: example.com/kind
  files: [tls.key, other=dir/x.enc.txt]
  binaryFiles: [bin=blob.enc]
  envs: [v.enc.env]
""",
        {
            "tls.key": "-----BEGIN-----\nabc\n",
            "dir/x.enc.txt": "x",
            "blob.enc": "bytes",
            "v.enc.env": "# c\nA=1\nexport B=\"two words\" # c\n C = 'x$Y'\n\ntls.key=over # it\n",
        },
        [
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": "made", "labels": {"l": "m"}, "annotations": HASHED},
                "type": "example.com/kind",
                "stringData": {"tls.key": "over", "other": "x", "A": "1", "B": "two words", "C": "x$Y"},
                "data": {"bin": "Ynl0ZXM="},
            }
        ],
    ),
    "resources that the components of the overlay change": (
        "resources: [user.yaml]\ncomponents: [../component]\n",
        "files: [a.enc.yaml]\n",
        {
            "a.enc.yaml": secret("db", stringData={"p": "1"}),
            "user.yaml": USER,
            "../component/kustomization.yaml": (
                "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\ncommonAnnotations: {c: d}\n"
            ),
        },
        [secret("db", stringData={"p": "1"})],
    ),
    "a Secret that is merged with one, and both have a suffix": (
        "resources: [../base]\n",
        "files: [a.enc.yaml]\n",
        {"a.enc.yaml": secret("gen", behavior("merge") | HASHED, type="Opaque", stringData={"n": "1"})},
        [secret("gen", behavior("merge") | HASHED, type="Opaque", stringData={"n": "1"})],
    ),
    "a Secret that is merged with one that the kustomization generates": (
        "secretGenerator: [{name: own, literals: [a=b, c=d], options: {disableNameSuffixHash: true}}]\n",
        "files: [a.enc.yaml]\n",
        {"a.enc.yaml": secret("own", behavior("merge"), data={"a": "bmV3"})},
        [secret("own", behavior("merge"), data={"a": "bmV3"})],
    ),
    "a Secret that is there already": (
        "resources: [../base]\n",
        "files: [a.enc.yaml]\n",
        {"a.enc.yaml": secret("cfg", data={"n": "bmV3"})},
        [secret("cfg", data={"n": "bmV3"})],
    ),
    "a Secret to merge with none": (
        "resources: [../base]\n",
        "files: [a.enc.yaml]\n",
        {"a.enc.yaml": secret("none", behavior("merge"), data={"n": "bmV3"})},
        [secret("none", behavior("merge"), data={"n": "bmV3"})],
    ),
}
REFUSED = {"a Secret that is there already", "a Secret to merge with none"}


def text(content: object) -> str:
    return content if isinstance(content, str) else json.dumps(content)


def written(kustomization: str, generator: str, given: dict[str, object], *, inline: bool) -> dict[str, str]:
    """The files of a repository whose overlay is in `prod`."""
    whole = GENERATOR + generator
    named = json.dumps([whole]) if inline else "[secrets.yaml]"
    files = {f"prod/{name}".replace("prod/../", ""): text(content) for name, content in given.items()}
    files["prod/kustomization.yaml"] = f"{kustomization}generators: {named}\n"
    return {**BASE, **files, **({} if inline else {"prod/secrets.yaml": whole})}


def built(root: Path, files: dict[str, str], printed: list[dict[str, object]]) -> list[Tree] | None:
    """What kustomize makes of what KSOPS prints."""
    listed = {"apiVersion": "config.kubernetes.io/v1", "kind": "ResourceList", "items": printed}
    program = f"#!/bin/sh\ncat >/dev/null\ncat <<'END'\n{json.dumps(listed)}\nEND\n"
    for name, content in {**files, "prod/ksops": program}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    (root / "prod/ksops").chmod(0o755)
    command = [binaries.path("kustomize"), "build", "--enable-alpha-plugins", "--enable-exec"]
    done = subprocess.run(
        [*command, "--load-restrictor=LoadRestrictionsNone", root / "prod"], capture_output=True, check=False
    )
    if done.returncode:
        return None
    return [each.tree for each in manifests.parse(done.stdout, file="kustomize", strict=False)]


async def rendered(renderers: Renderers, files: dict[str, str]) -> Rendered:
    content = {name: each.encode() for name, each in files.items()}
    file = "prod/kustomization.yaml"
    tree = manifests.parse(content[file], file=file)[0].tree
    assert isinstance(tree, dict)
    found = ksops.find(tree, content[file], file=file, contents=content)
    assert found.generators
    assert not found.others
    made = ksops_component.Writer(content, files, {}).component(found.generators, "prod/.made")
    sources = SourceTree.of({**content, **made.files})
    replaced = {file: ksops_component.replaced(tree, found.others, ".made")}
    return await renderers.kustomize(
        ApplicationId("shop", "web", "1"), Kustomization("prod", sources, replaced=replaced)
    )


def comparable(trees: list[Tree]) -> list[str]:
    """In no order; an empty stringData says nothing."""
    bare = [{k: v for k, v in each.items() if v != {}} if isinstance(each, dict) else each for each in trees]
    return sorted(json.dumps(each, sort_keys=True) for each in bare)


@pytest.mark.parametrize("inline", [False, True], ids=["in a file", "in the kustomization"])
@pytest.mark.parametrize("name", CASES)
async def test_what_ksops_makes_is_made_without_it(
    renderers: Renderers, tmp_path: Path, name: str, inline: bool
) -> None:
    kustomization, generator, given, printed = CASES[name]
    files = written(kustomization, generator, given, inline=inline)
    expected = built(tmp_path, files, printed)
    found = await rendered(renderers, files)
    assert (expected is None, isinstance(found.error, RenderError)) == (name in REFUSED, name in REFUSED), found.error
    assert comparable([each.tree for each in found.objects]) == comparable(expected or [])


async def test_other_errors_keep_their_lines_in_the_kustomization_as_it_is_written(renderers: Renderers) -> None:
    files = written("\n\nresources: [missing.yaml]\n", "files: [a.yaml]\n", {"a.yaml": MAP}, inline=False)
    found = await rendered(renderers, files)
    assert str(found.error).startswith("prod/kustomization.yaml:3:13: no such file or folder")
