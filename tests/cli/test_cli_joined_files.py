"""Documents that were encrypted one by one, and clear ones, in one file: each is what its own metadata say."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Shell

FIRST = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: first\nstringData:\n  password: one\n"
SECOND = FIRST.replace("first", "second").replace("one", "two")
SETTINGS = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\ndata:\n  on: yes please\n"
DEPLOYMENT = "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\nspec:\n  replicas: 2\n"


def sealed(shell: Shell, *texts: str) -> str:
    """Encrypted as one file."""
    shell.write("one.yaml", "---\n".join(texts))
    done = shell.agent("encrypt", "--fresh", "--age", shell.recipient, "one.yaml")
    assert done.code == 0, done.err
    return done.out.decode()


def joined(shell: Shell, *texts: str) -> None:
    shell.write("all.yaml", "---\n".join(texts))
    shell.write(".sops.yaml", f"creation_rules:\n- path_regex: all\n  age: {shell.recipient}\n")


CASES = {
    "two": (FIRST, SECOND),
    "one and a clear one": (FIRST, None, DEPLOYMENT),
    "a clear one first": (None, DEPLOYMENT, SECOND),
    "clear ones between": (FIRST, None, DEPLOYMENT, SECOND, None, DEPLOYMENT.replace("web", "other")),
}


def texts_of(shell: Shell, case: tuple[str | None, ...]) -> tuple[list[str], str]:
    """The file, and it in the clear. A text behind None is clear in both."""
    stored: list[str] = []
    plain: list[str] = []
    clear = False
    for text in case:
        if text is not None:
            stored.append(text if clear else sealed(shell, text))
            plain.append(text)
        clear = text is None
    return stored, "---\n".join(plain)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_each_document_opens_by_its_own_metadata(shell: Shell, case: tuple[str | None, ...]) -> None:
    stored, plain = texts_of(shell, case)
    joined(shell, *stored)
    done = shell.agent("decrypt", "all.yaml")
    assert (done.code, done.out.decode()) == (0, plain), done.err
    done = shell.agent("verify", "--require-mac", "all.yaml")
    assert (done.code, b"verified" in done.out) == (0, True), done.out
    assert shell.agent("verify", "--offline", "all.yaml").code == 0
    done = shell.agent("encrypt", "--check", "-o", "json", ".")
    assert [each["result"] for each in json.loads(done.out)["files"] if each["file"] == "./all.yaml"] in (
        ["already encrypted"],
        [],
    )
    assert shell.agent("encrypt", "--check", "all.yaml").code == 0


@pytest.mark.parametrize("which", [0, 1])
def test_what_was_altered_in_one_document_is_found(shell: Shell, which: int) -> None:
    stored = [sealed(shell, FIRST), sealed(shell, SECOND)]
    stored[which] = stored[which].replace("kind: Secret", "kind: Other")
    joined(shell, *stored)
    assert shell.agent("decrypt", "all.yaml").code == 51
    done = shell.agent("verify", "all.yaml")
    assert (done.code, b"mismatch" in done.out) == (51, True)


def test_a_value_in_the_clear_in_the_second_document_is_found_without_a_key(shell: Shell) -> None:
    stored = [sealed(shell, FIRST), re.sub("password: .*", "password: canary", sealed(shell, SECOND))]
    joined(shell, *stored)
    line = len(stored[0].splitlines()) + 2
    for command in (["verify", "--offline"], ["encrypt", "--check"]):
        done = shell.agent(*command, "all.yaml")
        assert done.code == 1
        assert f"{line}: stringData.password: value is not encrypted" in done.out.decode()


def test_a_clear_document_with_such_values_is_reported(shell: Shell) -> None:
    joined(shell, sealed(shell, FIRST), SETTINGS)
    done = shell.agent("verify", "--offline", "all.yaml")
    assert (done.code, "a document is in the clear" in done.err) == (0, True)
    done = shell.agent("encrypt", "--check", "all.yaml")
    assert (done.code, b"a document is in the clear" in done.out) == (1, True)


def test_documents_that_sops_encrypted_as_one_stay_one(shell: Shell) -> None:
    text = sealed(shell, FIRST, SECOND)
    documents = [f"{each}\n" for each in text.removesuffix("\n").split("\n---\n")]
    assert len(documents) == 2
    # Exchanged, they are not what was encrypted.
    joined(shell, *reversed(documents))
    assert shell.agent("decrypt", "all.yaml").code == 51
    # The entry of the second is a copy that sops does not read.
    joined(shell, documents[0], documents[1][: documents[1].index("sops:")])
    assert shell.agent("decrypt", "all.yaml").code == 0
    assert shell.sops("decrypt", "all.yaml").code == 0
    joined(shell, documents[0][: documents[0].index("sops:")], documents[1])
    done = shell.agent("decrypt", "all.yaml")
    assert (done.code, "document without sops metadata" in done.err) == (1, True)


@pytest.mark.parametrize(
    "command",
    [["edit"], ["rotate", "-i"], ["updatekeys", "-y"], ["groups", "delete", "0", "-f"], ["exec-env"]],
    ids=lambda command: command[0],
)
def test_commands_that_change_a_file_as_one_say_why_not(shell: Shell, command: list[str]) -> None:
    joined(shell, sealed(shell, FIRST), sealed(shell, SECOND))
    before = (shell.folder / "all.yaml").read_bytes()
    rest = ["true"] if command == ["exec-env"] else []
    done = shell.agent(*command, "all.yaml", *rest)
    assert (done.code, "encrypted separately" in done.err) == (1, True)
    assert (shell.folder / "all.yaml").read_bytes() == before
