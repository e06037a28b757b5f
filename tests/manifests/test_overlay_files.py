"""Which files of a repository an overlay names: what is no file of it is refused before a renderer is asked."""

import pytest

from agent.manifests import kustomizations
from agent.manifests.documents import TreeEntry
from agent.values.errors import LimitError, UnsupportedManifestError

KSOPS = "apiVersion: viaduct.ai/v1\nkind: ksops\nmetadata: {name: x}\n"


def follow(files, kinds=None, most=100, generate=False):
    listing = {path: TreeEntry("", len(text), (kinds or {}).get(path, "file")) for path, text in files.items()}
    walk = kustomizations.follow(["p"], listing, most=most, generate=generate)
    contents = None
    while True:
        try:
            wanted = walk.send(contents)
        except StopIteration as end:
            return end.value
        contents = {path: files[path].encode() for path in wanted.paths}


@pytest.mark.parametrize("kind", ["link", "submodule"])
@pytest.mark.parametrize("given", ["files: [a.yaml]\n", "secretFrom: [{metadata: {name: s}, files: [a.yaml]}]\n"])
def test_files_of_ksops_generators_are_no_links(kind, given):
    files = {"p/kustomization.yaml": "generators: [g.yaml]\n", "p/g.yaml": KSOPS + given, "p/a.yaml": ""}
    assert follow(files).uses["p/a.yaml"]
    with pytest.raises(UnsupportedManifestError) as refused:
        follow(files, {"p/a.yaml": kind})
    assert refused.value.facts["file"] == "p/a.yaml"


def test_what_ksops_takes_is_used_as_it_takes_it():
    generator = "files: [a.yaml]\nsecretFrom: [{metadata: {name: s}, files: [k=b], binaryFiles: [/c], envs: [d.env]}]\n"
    files = {"p/kustomization.yaml": "generators: [g.yaml]\n", "p/g.yaml": KSOPS + generator}
    files |= dict.fromkeys(["p/a.yaml", "p/b", "c", "p/d.env"], "")
    uses = {path: {*uses} for path, uses in follow(files).uses.items()}
    assert uses == {
        "p/kustomization.yaml": {"read"},
        "p/g.yaml": {"read"},
        "p/a.yaml": {"read"},
        "p/b": {"bytes"},
        "c": {"bytes"},
        "p/d.env": {"lines"},
    }


def test_manifests_of_a_folder_that_are_links_are_no_part_of_it():
    files = {"p/a.yaml": "", "p/b.txt": "", "p/c.yaml": ""}
    assert follow(files, {"p/b.txt": "link"}, generate=True).uses.keys() == {"p/a.yaml", "p/c.yaml"}
    with pytest.raises(UnsupportedManifestError) as refused:
        follow(files, {"p/c.yaml": "link"}, generate=True)
    assert refused.value.facts["file"] == "p/c.yaml"


def test_a_name_that_no_yaml_has_is_refused():
    with pytest.raises(UnsupportedManifestError):
        follow({"p/\udcff.yaml": ""}, generate=True)


@pytest.mark.parametrize("generate", [True, False])
def test_an_overlay_has_so_many_files_and_no_more(generate):
    files = {f"p/{number}.yaml": "" for number in range(10)}
    if not generate:
        files["p/kustomization.yaml"] = "generators: [0.yaml]\n"
        files["p/0.yaml"] = f"{KSOPS}files: [{', '.join(f'{number}.yaml' for number in range(1, 10))}]\n"
    assert follow(files, most=11, generate=generate)
    with pytest.raises(LimitError):
        follow(files, most=9, generate=generate)
