"""What kubectl applies of a file is what we read of it: the real kubectl and API server are asked."""

import json

import pytest

from agent.yaml.read import manifests
from testbed.cluster import KubectlError


def config(name):
    return json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}})


BLOCK = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {}\n"


@pytest.mark.parametrize(
    "text",
    [
        f"{config('a')}\n{config('b')}\n",
        config("a") + config("b") + " " + config("c"),
        f"{config('a')}\n---\n{config('b')}\n",
        f"{config('a')}\n{BLOCK.format('b')}---\n{BLOCK.format('c')}",
        f"{config('a')}\n# done\n",
        config("a")[:-1] + ', "data": {"k": "\\/ \\ud83d\\ude00"}}',
    ],
)
def test_the_same_objects(controlplane, namespace, text):
    ours = [document.tree["metadata"]["name"] for document in manifests.parse(text.encode(), file="f")]
    theirs = controlplane.kubectl("apply", "-n", namespace, "--dry-run=server", "-o", "name", "-f", "-", input=text)
    assert [f"configmap/{name}" for name in ours] == theirs.split()


def test_where_we_read_more_kubectl_reads_less_or_refuses(controlplane, namespace):
    apply = ("apply", "-n", namespace, "--dry-run=server", "-o", "name", "-f", "-")
    text = f"{BLOCK.format('a')}---\n{config('b')}\n{config('c')}\n"
    assert len(manifests.parse(text.encode(), file="f")) == 3
    assert controlplane.kubectl(*apply, input=text).split() == ["configmap/a", "configmap/b"]
    text = f"{config('a')}\n{config('b')}\n---\n{config('c')}\n"
    assert len(manifests.parse(text.encode(), file="f")) == 3
    with pytest.raises(KubectlError):
        controlplane.kubectl(*apply, input=text)
