"""Conflicts in encrypted files hold ciphertext, and `agent resolve` turns them into a file that sops opens."""

from __future__ import annotations

import pytest
from repositories import BASE, Repository, repository

__all__ = ["repository"]

CONFLICT = {'["a"]': '"canary-ours"', '["b"]': '"same"'}, {'["a"]': '"canary-theirs"', '["list"][0]': '"z"'}


def test_a_conflict_holds_both_values_encrypted_and_the_rest_merged(repository: Repository) -> None:
    repository.branches("s.yaml", BASE, *CONFLICT)
    done = repository.git("merge", "other", code=1)
    assert "CONFLICT (value): s.yaml: a\n" in done.out
    assert "canary" not in done.out
    assert repository.git("status", "--short").out == "UU s.yaml\n"
    text = repository.read("s.yaml")
    lines = text.splitlines()
    start = lines.index("<<<<<<< ours")
    assert lines[start + 1].startswith("a: ENC[")
    assert lines[start + 2] == "======="
    assert lines[start + 3].startswith("a: ENC[")
    assert lines[start + 4] == ">>>>>>> theirs"
    assert text.count("<<<<<<<") == 1
    assert repository.holds("canary-") == []


@pytest.mark.parametrize(("side", "value"), [("ours", "canary-ours"), ("theirs", "canary-theirs")])
@pytest.mark.parametrize("plaintext", [False, True])
def test_one_side_of_a_conflict_is_taken(repository: Repository, side: str, value: str, plaintext: bool) -> None:
    repository.branches("s.yaml", BASE, *CONFLICT)
    repository.git("merge", "other", code=1)
    if plaintext:
        assert repository.shell.agent("resolve", "--plaintext", "s.yaml").code == 0
        assert "<<<<<<< ours\na: canary-ours\n=======\na: canary-theirs\n>>>>>>> theirs\n" in repository.read("s.yaml")
    assert repository.holds("canary-") == ([str(repository.folder / "s.yaml")] if plaintext else [])
    done = repository.shell.agent("resolve", "s.yaml", f"--{side}")
    assert done.code == 0, done.err
    assert "not verified" not in done.err
    expected = BASE.replace("canary-one", value).replace("canary-two", "same").replace("- x", "- z")
    assert repository.shell.agent("decrypt", "s.yaml").out.decode() == expected
    repository.opened("s.yaml")
    assert repository.holds("canary-") == []
    repository.commit("merged")
    assert repository.git("status", "--short").out == ""


def test_the_editor_shows_a_conflict_in_the_clear(repository: Repository) -> None:
    repository.branches("s.yaml", BASE, *CONFLICT)
    repository.git("merge", "other", code=1)
    script = repository.shell.write(
        "../editor.sh",
        '#!/bin/sh\ngrep -q "^a: canary-ours" "$1" && grep -q "^a: canary-theirs" "$1" || exit 3\n'
        "sed -i '/^<<<<<<</,/^=======/d; /^>>>>>>>/d; s/canary-theirs/canary-edited/' \"$1\"\n",
    )
    script.chmod(0o700)
    repository.shell.env("SOPS_EDITOR", str(script.resolve()))
    assert repository.shell.agent("resolve", "s.yaml").code == 0
    assert "a: canary-edited" in repository.opened("s.yaml")
    assert repository.holds("canary-") == []


def test_a_conflict_is_resolved_by_hand(repository: Repository) -> None:
    repository.branches("s.yaml", BASE, *CONFLICT)
    repository.git("merge", "other", code=1)
    lines = repository.read("s.yaml").splitlines()
    start = lines.index("<<<<<<< ours")
    theirs = [*lines[:start], lines[start + 3], *lines[start + 5 :]]
    repository.shell.write("s.yaml", "\n".join(theirs) + "\n")
    done = repository.shell.agent("resolve", "s.yaml")
    assert done.code == 0, done.err
    assert "was not verified" in done.err
    assert "a: canary-theirs" in repository.opened("s.yaml")
    typed = [*lines[:start], "a: typed", *lines[start + 5 :]]
    repository.shell.write("s.yaml", "\n".join(typed) + "\n")
    assert "(values: 1)" in repository.shell.agent("resolve", "s.yaml").err
    assert "a: typed" in repository.opened("s.yaml")
    assert "typed" not in repository.read("s.yaml")
    assert "nothing to resolve" in repository.shell.agent("resolve", "s.yaml").err


def test_a_binary_file_is_a_conflict_as_a_whole(repository: Repository) -> None:
    repository.encrypt("s.bin", "canary-one")
    repository.commit("base")
    for branch, value in (("other", '"canary-theirs"'), ("main", '"canary-ours"')):
        repository.git("checkout", "-q", *(("-b",) if branch == "other" else ()), branch)
        repository.set("s.bin", {'["data"]': value})
    repository.git("merge", "other", code=1)
    assert repository.shell.agent("resolve", "s.bin").code == 1
    assert repository.shell.agent("resolve", "s.bin", "--theirs").code == 0
    assert repository.opened("s.bin") == "canary-theirs"


@pytest.mark.parametrize(
    ("change", "flags", "cause"),
    [
        ("", ("--ours",), "no conflict markers"),
        ("<<<<<<< ours\n", (), "do not fit together"),
        ("<<<<<<< ours\n", ("--theirs",), "do not fit together"),
        ("new: [\n", (), "s.yaml:"),
    ],
)
def test_what_cannot_be_resolved_stays(repository: Repository, change: str, flags: tuple[str, ...], cause: str) -> None:
    repository.encrypt("s.yaml", BASE)
    repository.shell.write("s.yaml", change + repository.read("s.yaml"))
    before = repository.read("s.yaml")
    done = repository.shell.agent("resolve", "s.yaml", *flags)
    assert done.code == 1
    assert cause in done.err
    assert "canary" not in done.err
    assert repository.read("s.yaml") == before


def test_an_edit_that_leaves_markers_is_given_up(repository: Repository) -> None:
    repository.branches("s.yaml", BASE, *CONFLICT)
    repository.git("merge", "other", code=1)
    before = repository.read("s.yaml")
    for script, code in (("true", 200), ("sed -i s/canary-ours/x/", 201)):
        repository.shell.env("SOPS_EDITOR", script)
        assert repository.shell.agent("resolve", "s.yaml").code == code
    assert repository.read("s.yaml") == before


def test_what_git_merged_line_by_line_is_repaired(repository: Repository) -> None:
    """As for a user who has not set up the driver: the values merge, and the MAC is in conflict."""
    assert repository.shell.agent("git-setup", "--remove").code == 0
    repository.branches("s.yaml", BASE, {'["a"]': "1"}, {'["list"][1]': "2"})
    repository.git("merge", "other", code=1)
    assert "<<<<<<<" in repository.read("s.yaml")
    done = repository.shell.agent("resolve", "s.yaml", "--ours")
    assert done.code == 0, done.err
    assert "was not verified" in done.err
    text = repository.opened("s.yaml")
    assert "a: 1\n" in text
    assert "    - 2\n" in text
