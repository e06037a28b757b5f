"""Which files are Kubernetes Secrets and nothing else."""

from __future__ import annotations

import pytest

from agent.sops.format.selection import Selection
from agent.sops.kubernetes import secrets as kubernetes
from agent.sops.stores import named

SECRET = "apiVersion: v1\nkind: Secret\nmetadata: {name: db}\ndata: {a: eA==}\n"
ITEM = "{apiVersion: v1, kind: Secret, data: {a: eA==}}"
CASES = [
    (SECRET, 1, True),
    (f"{SECRET}---\n{SECRET}", 2, True),
    (f"---\n# nothing\n---\n{SECRET}", 1, True),
    (f"apiVersion: v1\nkind: List\nitems: [{ITEM}, {ITEM}]\n", 2, True),
    (f"apiVersion: v1\nkind: SecretList\nitems: [{ITEM}]\n", 1, True),
    (f"apiVersion: v1\nkind: List\nitems: [{ITEM}, {{kind: ConfigMap}}]\n", 1, False),
    (f"apiVersion: v1\nkind: List\nitems: [{ITEM}, text]\n", 1, False),
    (f"{SECRET}---\napiVersion: apps/v1\nkind: Deployment\n", 1, False),
    (f"{SECRET}---\na: 1\n", 1, False),
    ("apiVersion: v1\nkind: List\nitems: []\n", 0, False),
    (SECRET.replace("v1", "example.org/v1"), 0, False),
    ("a: 1\n", 0, False),
    ("kind: Secret\n", 0, False),
]


@pytest.mark.parametrize(("text", "count", "only"), CASES)
def test_secrets_and_nothing_else(text: str, count: int, only: bool) -> None:
    documents = named("yaml").parse(text.encode(), file="s.yaml")
    assert len(kubernetes.secrets(documents)) == count
    assert kubernetes.only_secrets(documents) is only


def test_a_copy_in_an_annotation() -> None:
    last = f"{{{kubernetes.LAST_APPLIED}: '{{}}'}}"
    for notes, selection, copy in [
        ("{}", kubernetes.SELECTION, False),
        ("{x: y}", kubernetes.SELECTION, False),
        (last, kubernetes.SELECTION, True),
        (last, Selection("encrypted_regex", "last-applied"), False),
        (last, Selection("unencrypted_regex", "^kind$"), False),
        (last, Selection("unencrypted_regex", "^metadata$"), True),
        (last, Selection(), False),
    ]:
        text = SECRET.replace("{name: db}", f"{{annotations: {notes}}}")
        [secret] = kubernetes.secrets(named("yaml").parse(text.encode(), file="s.yaml"))
        assert kubernetes.copy_in_clear(secret, selection) is copy
