"""Which files of a repository an overlay names: what is no file of it is refused before a renderer is asked."""

import pytest

from agent.manifests import kustomizations
from agent.manifests.documents import TreeEntry
from agent.values.errors import UnsupportedManifestError

KSOPS = "apiVersion: viaduct.ai/v1\nkind: ksops\nmetadata: {name: x}\n"


def follow(files, kinds=None, folder="p"):
    listing = {path: TreeEntry("", len(text), (kinds or {}).get(path, "file")) for path, text in files.items()}
    walk = kustomizations.follow([folder], listing, most=100)
    contents = None
    while True:
        try:
            wanted = walk.send(contents)
        except StopIteration as end:
            return end.value
        contents = {path: files[path].encode() for path in wanted}


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
