"""What one side of a merge cannot do to the other: plant a data key, add a recipient or leave its values in the clear."""

from __future__ import annotations

import pytest
from repositories import BASE, Repository, repository, wrapped

from agent.adapters.keys import age

__all__ = ["repository"]


@pytest.mark.parametrize("planted", ["main", "other"])
@pytest.mark.parametrize("values", ["a: p\nb: q\nlist: [r, s]\n", 'a: ""\nb: ""\n', BASE])
def test_a_data_key_that_one_side_alone_has_is_not_taken_over(
    repository: Repository, planted: str, values: str
) -> None:
    """A person without a private key can make a file of any values under a data key that they know."""
    repository.branches("s.yaml", BASE, {'["a"]': "1"}, {'["a"]': "2"})
    repository.git("checkout", "-q", planted)
    repository.encrypt("s.yaml", values)
    enc = wrapped(repository.read("s.yaml"))
    repository.commit()
    repository.git("checkout", "-q", "main")
    done = repository.git("merge", "--no-edit", "other", code=None)
    assert "different data keys" in done.out
    assert enc not in repository.read("s.yaml")
    if done.code:
        flag = "--ours" if planted == "other" else "--theirs"
        assert repository.shell.agent("resolve", flag, "s.yaml").code == 0
        assert enc not in repository.read("s.yaml")
    assert f"a: {1 if planted == 'other' else 2}\n" in repository.opened("s.yaml")


def test_a_recipient_in_the_metadata_alone_gets_nothing(repository: Repository) -> None:
    """The names of recipients are under no MAC: a name that is written there does not give its owner the data key."""
    stranger, gone = age.generate()[0], age.generate()[0]
    repository.encrypt("s.yaml", BASE, repository.shell.recipient, gone)
    repository.commit("base")
    repository.git("checkout", "-q", "-b", "other")
    repository.shell.write("s.yaml", repository.read("s.yaml").replace(gone, stranger))
    repository.commit()
    repository.git("checkout", "-q", "main")
    repository.set("s.yaml", {'["a"]': '"ours"'})
    done = repository.git("merge", "--no-edit", "other", code=1)
    assert f"adds a recipient: age {stranger}" in done.out
    assert "add the recipient to .sops.yaml" in done.out
    assert stranger not in repository.read("s.yaml")
    rule = f"creation_rules:\n  - age: {repository.shell.recipient},{stranger}\n"
    repository.shell.write(".sops.yaml", rule)
    repository.git("checkout", "--merge", "--", "s.yaml")
    assert stranger in repository.read("s.yaml")
    assert "a: ours\n" in repository.opened("s.yaml")


def test_what_one_side_has_encrypted_is_not_shown_by_the_selection_of_the_other(repository: Repository) -> None:
    repository.encrypt("s.yaml", BASE)
    repository.commit("base")
    repository.git("checkout", "-q", "-b", "other")
    narrowed = repository.read("s.yaml").replace("unencrypted_suffix: _unencrypted", "unencrypted_regex: ^token$")
    repository.shell.write("s.yaml", narrowed)
    repository.commit()
    repository.git("checkout", "-q", "main")
    repository.set("s.yaml", {'["token"]': '"hunter2"'})
    done = repository.git("merge", "--no-edit", "other", code=1)
    assert "s.yaml: token: a value that one side has encrypted would be in the clear" in done.out
    assert "hunter2" not in repository.read("s.yaml")


def test_nor_by_a_comment_of_the_other(repository: Repository) -> None:
    shell = repository.shell
    shell.write("s.yaml", 'a: b\nempty: ""\n')
    assert (
        shell.agent("encrypt", "-i", "--age", shell.recipient, "--unencrypted-comment-regex", "^public", "s.yaml").code
        == 0
    )
    repository.commit("base")
    repository.git("checkout", "-q", "-b", "other")
    shell.write("s.yaml", repository.read("s.yaml").replace("empty:", "#public\nempty:"))
    repository.commit()
    repository.git("checkout", "-q", "main")
    repository.set("s.yaml", {'["empty"]': '"hunter2"'})
    assert "would be in the clear" in repository.git("merge", "--no-edit", "other", code=1).out
    assert "hunter2" not in repository.read("s.yaml")


def test_a_side_that_was_altered_is_not_merged(repository: Repository) -> None:
    repository.branches("s.yaml", BASE, {'["a"]': "1"}, {'["b"]': "2"})
    repository.git("checkout", "-q", "other")
    lines = [line for line in repository.read("s.yaml").splitlines(keepends=True) if not line.startswith("b:")]
    repository.shell.write("s.yaml", "".join(lines))
    repository.commit()
    repository.git("checkout", "-q", "main")
    before = repository.read("s.yaml")
    done = repository.git("merge", "other", code=1)
    assert "s.yaml (theirs): the file was altered after it was encrypted" in done.out
    assert repository.read("s.yaml") == before


@pytest.mark.parametrize("side", ["main", "other"])
def test_a_side_in_the_clear_is_merged_into_ciphertext(repository: Repository, side: str) -> None:
    repository.branches("s.yaml", BASE, {'["a"]': '"one"'}, {'["b"]': '"two"'})
    repository.git("checkout", "-q", side)
    assert repository.shell.agent("decrypt", "-i", "s.yaml").code == 0
    repository.commit()
    repository.git("checkout", "-q", "main")
    assert "in the clear on one side" in repository.git("merge", "--no-edit", "other").out
    text = repository.opened("s.yaml")
    assert "a: one\n" in text
    assert "b: two" in text
