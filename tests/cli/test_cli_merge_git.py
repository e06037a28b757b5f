"""Encrypted files merged by value, by Git itself: merge, rebase and cherry-pick."""

from __future__ import annotations

import pytest
from repositories import Repository, repository

from agent.adapters.keys import age
from agent.values.reveal import reveal

__all__ = ["repository"]

BASE = """\
# Who may enter
a: canary-one

b: canary-two   # inline
list:
  - x
  - w
"""
PARTS = {  # the text, and two places
    "s.yaml": (BASE, '["a"]', '["b"]'),
    "s.json": ('{\n  "a": "canary-one",\n  "b": "canary-two"\n}\n', '["a"]', '["b"]'),
    "s.env": ("# note\na=canary-one\nb=canary-two\n", '["a"]', '["b"]'),
    "s.ini": ("[x]\na = canary-one\n\n[y]\nb = canary-two\n", '["x"]["a"]', '["y"]["b"]'),
}


@pytest.mark.parametrize("name", PARTS)
@pytest.mark.parametrize("way", ["merge", "rebase", "cherry-pick"])
def test_values_changed_on_two_sides_merge(repository: Repository, name: str, way: str) -> None:
    base, first, second = PARTS[name]
    repository.branches(name, base, {first: '"canary-ours"'}, {second: '"canary-theirs"'})
    before = repository.read(name)
    repository.git(
        *{"merge": ("merge", "--no-edit"), "rebase": ("rebase",), "cherry-pick": ("cherry-pick",)}[way], "other"
    )
    text = repository.opened(name)
    assert "canary-ours" in text
    assert "canary-theirs" in text
    assert "canary-one" not in text
    assert repository.holds("canary-") == []
    after = repository.read(name)
    plain = repository.shell.agent("decrypt", name).out.decode()
    assert plain == base.replace("canary-one", "canary-ours").replace("canary-two", "canary-theirs")
    if way != "rebase":
        old, new = before.splitlines(), after.splitlines()
        assert sum(one != other for one, other in zip(old, new, strict=True)) in {2, 3}  # two in one second


def test_what_is_added_and_removed_merges(repository: Repository) -> None:
    repository.branches("s.yaml", BASE, {'["new"]': '"one"', '["list"][9]': '"z"'}, {'["other"]': '{"deep": "two"}'})
    repository.git("checkout", "-q", "other")
    assert repository.shell.agent("unset", "s.yaml", '["b"]').code == 0
    repository.commit()
    repository.git("checkout", "-q", "main")
    repository.git("merge", "--no-edit", "other")
    text = repository.shell.agent("decrypt", "s.yaml").out.decode()
    assert "b:" not in text
    assert "  - z\n" in text
    assert "new: one\nother:\n" in text
    repository.opened("s.yaml")


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


def test_files_added_on_both_sides_merge(repository: Repository) -> None:
    repository.commit("base")
    repository.git("checkout", "-q", "-b", "other")
    repository.encrypt("s.yaml", "a: 1\nb: 2\n")
    repository.commit()
    repository.git("checkout", "-q", "main")
    repository.encrypt("s.yaml", "a: 1\nc: 3\n")
    repository.commit()
    repository.git("merge", "--no-edit", "other")
    assert repository.opened("s.yaml") == "a: 1\nc: 3\nb: 2\n"


def test_a_file_deleted_on_one_side_is_git_s_conflict(repository: Repository) -> None:
    repository.encrypt("s.yaml", BASE)
    repository.commit("base")
    repository.git("checkout", "-q", "-b", "other")
    repository.git("rm", "-q", "s.yaml")
    repository.commit()
    repository.git("checkout", "-q", "main")
    repository.set("s.yaml", {'["a"]': '"canary-ours"'})
    assert "modify/delete" in repository.git("merge", "other", code=1).out
    assert "canary-ours" in repository.opened("s.yaml")


def test_a_recipient_added_on_one_side_is_one_of_the_merged_file(repository: Repository) -> None:
    repository.branches("s.yaml", BASE, {'["a"]': "1"}, {'["b"]': "2"})
    added = age.generate()[0]
    repository.git("checkout", "-q", "other")
    shell = repository.shell
    shell.write("rules.yaml", f"creation_rules:\n  - age: {shell.recipient},{added}\n")
    assert shell.agent("updatekeys", "--config", "rules.yaml", "-y", "s.yaml").code == 0
    (repository.folder / "rules.yaml").unlink()
    repository.commit()
    repository.git("checkout", "-q", "main")
    before = repository.read("s.yaml")
    repository.git("merge", "--no-edit", "other")
    after = repository.read("s.yaml")
    assert added in after
    assert "a: 1\n" in repository.opened("s.yaml")
    assert "b: 2" in repository.opened("s.yaml")
    # The data key stays, so that what did not change is as it was.
    assert before.splitlines()[1] == after.splitlines()[1]
    assert before.split("-----BEGIN")[1].split("-----END")[0] in after


def test_a_removed_recipient_makes_everything_new(repository: Repository) -> None:
    shell = repository.shell
    gone = age.generate()[0]
    repository.encrypt("s.yaml", BASE, shell.recipient, gone)
    repository.commit("base")
    repository.git("checkout", "-q", "-b", "other")
    shell.write("rules.yaml", f"creation_rules:\n  - age: {shell.recipient}\n")
    done = shell.agent("updatekeys", "--config", "rules.yaml", "-y", "s.yaml")
    assert done.code == 0, done.err
    (repository.folder / "rules.yaml").unlink()
    repository.commit()
    repository.git("checkout", "-q", "main")
    repository.set("s.yaml", {'["a"]': '"ours"'})
    before = repository.read("s.yaml")
    assert "a new data key" in repository.git("merge", "--no-edit", "other").out
    after = repository.read("s.yaml")
    assert gone not in after
    shared = {line for line in before.splitlines() if "ENC[" in line} & set(after.splitlines())
    assert shared == set()
    assert "a: ours\n" in repository.opened("s.yaml")


def wrapped(text: str) -> str:
    """How the data key of a file is wrapped."""
    return text.split("-----BEGIN")[1].split("-----END", maxsplit=1)[0]


@pytest.mark.parametrize("rotated", ["main", "other"])
def test_a_rotation_on_one_side_is_not_undone(repository: Repository, rotated: str) -> None:
    repository.branches("s.yaml", BASE, {'["a"]': "1"}, {'["b"]': "2"})
    former = wrapped(repository.read("s.yaml"))
    repository.git("checkout", "-q", rotated)
    assert repository.shell.agent("rotate", "-i", "s.yaml").code == 0
    repository.commit()
    repository.git("checkout", "-q", "main")
    assert "different data keys" in repository.git("merge", "--no-edit", "other").out
    assert former not in repository.read("s.yaml")
    text = repository.opened("s.yaml")
    assert "a: 1\n" in text
    assert "b: 2" in text


@pytest.mark.parametrize("planted", ["main", "other"])
@pytest.mark.parametrize("values", ["a: p\nb: q\nlist: [r, s]\n", 'a: ""\nb: ""\n', BASE])
def test_a_data_key_that_one_side_alone_has_is_not_taken_over(
    repository: Repository, planted: str, values: str
) -> None:
    """Somebody without a private key can make a file of any values under a data key that they know."""
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
    """The names of recipients are under no MAC: whoever writes one there has not been given the data key."""
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


def test_who_was_added_on_one_side_opens_what_was_before(repository: Repository) -> None:
    shell = repository.shell
    colleague, secret = age.generate()
    identity = str(reveal(secret))
    repository.encrypt("s.yaml", BASE, colleague)
    repository.commit("base")
    repository.git("checkout", "-q", "-b", "other")
    shell.write("rules.yaml", f"creation_rules:\n  - age: {shell.recipient},{colleague}\n")
    shell.env("SOPS_AGE_KEY", identity)
    assert shell.agent("updatekeys", "--config", "rules.yaml", "-y", "s.yaml").code == 0
    (repository.folder / "rules.yaml").unlink()
    repository.set("s.yaml", {'["b"]': "2"})
    repository.git("checkout", "-q", "main")
    repository.set("s.yaml", {'["a"]': "1"})
    shell.env("SOPS_AGE_KEY", shell.identity)
    repository.git("merge", "--no-edit", "other")
    assert "a: 1\n" in repository.opened("s.yaml")
    assert "b: 2" in repository.opened("s.yaml")
    assert repository.holds("canary-") == []


def test_where_no_key_opens_the_base_all_that_differs_is_in_conflict(repository: Repository) -> None:
    shell = repository.shell
    colleague, secret = age.generate()
    identity = str(reveal(secret))
    repository.encrypt("s.yaml", BASE + "c: canary-three\nd: canary-four\n", colleague)
    repository.commit("base")
    for branch, change in (("other", ("set", "s.yaml", '["b"]', "2")), ("main", ("unset", "s.yaml", '["c"]'))):
        shell.env("SOPS_AGE_KEY", identity)
        repository.git("checkout", "-q", *(("-b", branch) if branch == "other" else (branch,)))
        for command in (("rotate", "-i", "--add-age", shell.recipient, "s.yaml"), change):
            assert shell.agent(*command).code == 0
        repository.commit()
    shell.env("SOPS_AGE_KEY", shell.identity)
    done = repository.git("merge", "other", code=1)
    assert "s.yaml (base): no key opens the data key" in done.out
    assert f"age {colleague}" in done.out
    assert [line for line in done.out.splitlines() if "CONFLICT (value)" in line] == [
        "CONFLICT (value): s.yaml: b",
        "CONFLICT (value): s.yaml: c",
    ]
    assert shell.agent("resolve", "s.yaml", "--theirs").code == 0
    assert "c: canary-three" in repository.opened("s.yaml")
    assert "d: canary-four" in repository.opened("s.yaml")
    shell.env("SOPS_AGE_KEY", f"{shell.identity}\n{identity}")
    repository.git("checkout", "--merge", "--", "s.yaml")
    text = repository.opened("s.yaml")
    assert "b: 2" in text
    assert "c:" not in text
    assert repository.holds("canary-") == []


def test_without_a_key_our_version_stays_and_a_key_later_merges(repository: Repository) -> None:
    repository.branches("s.yaml", BASE, {'["a"]': "1"}, {'["b"]': "2"})
    before = repository.read("s.yaml")
    repository.shell.env("SOPS_AGE_KEY", None)
    done = repository.git("merge", "other", code=1)
    assert "no key opens the data key" in done.out
    assert repository.read("s.yaml") == before
    assert repository.git("status", "--short").out == "UU s.yaml\n"
    repository.shell.env("SOPS_AGE_KEY", repository.shell.identity)
    repository.git("checkout", "--merge", "--", "s.yaml")
    assert "a: 1\n" in repository.opened("s.yaml")
    assert "b: 2" in repository.opened("s.yaml")


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


def test_files_that_nobody_encrypted_are_merged_line_by_line(repository: Repository) -> None:
    lines = [f"k{number}: {number}\n" for number in range(9)]
    repository.shell.write("plain.yaml", "".join(lines))
    repository.commit("base")
    repository.git("checkout", "-q", "-b", "other")
    repository.shell.write("plain.yaml", "".join([*lines[:-1], "last: 1\n"]))
    repository.commit()
    repository.git("checkout", "-q", "main")
    repository.shell.write("plain.yaml", "".join(["first: 1\n", *lines[1:]]))
    repository.commit()
    repository.git("merge", "--no-edit", "other")
    assert repository.read("plain.yaml") == "".join(["first: 1\n", *lines[1:-1], "last: 1\n"])


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


def test_branches_that_merged_each_other_merge_again(repository: Repository) -> None:
    """With two common ancestors, of which Git makes one first."""
    repository.branches("s.yaml", BASE, {'["a"]': '"ours"'}, {'["b"]': '"theirs"'})
    repository.git("branch", "was")
    repository.git("merge", "--no-edit", "other")
    repository.git("checkout", "-q", "other")
    repository.git("merge", "--no-edit", "was")
    repository.set("s.yaml", {'["list"][0]': '"theirs"'})
    repository.git("checkout", "-q", "main")
    repository.set("s.yaml", {'["list"][1]': '"ours"'})
    repository.git("merge", "--no-edit", "other")
    text = repository.opened("s.yaml")
    assert "    - theirs\n    - ours\n" in text
    assert "a: ours\n" in text


def test_a_path_that_looks_like_a_flag_or_has_blanks(repository: Repository) -> None:
    name = "-my secret's.yaml"
    made = repository.shell.agent(
        "encrypt", "--age", repository.shell.recipient, "--filename-override", "x.yaml", stdin=BASE.encode()
    )
    repository.shell.write(name, made.out)
    repository.commit("base")
    repository.git("checkout", "-q", "-b", "other")
    repository.set(f"./{name}", {'["a"]': "1"})
    repository.git("checkout", "-q", "main")
    repository.set(f"./{name}", {'["b"]': "2"})
    repository.git("merge", "--no-edit", "other")
    text = repository.opened(f"./{name}")
    assert "a: 1\n" in text
    assert "b: 2" in text


def test_a_stash_comes_back_onto_a_changed_file(repository: Repository) -> None:
    repository.encrypt("s.yaml", BASE)
    repository.commit("base")
    assert repository.shell.agent("set", "s.yaml", '["a"]', '"canary-stashed"').code == 0
    repository.git("stash")
    repository.set("s.yaml", {'["b"]': '"canary-committed"'})
    repository.git("stash", "pop")
    text = repository.opened("s.yaml")
    assert "a: canary-stashed\n" in text
    assert "b: canary-committed" in text


def test_key_groups_merge(repository: Repository) -> None:
    shell = repository.shell
    added = age.generate()[0]
    group = f"      - age: [{shell.recipient}]\n"
    rule = f"creation_rules:\n  - shamir_threshold: 2\n    key_groups:\n{group}{group}"
    shell.write(".sops.yaml", rule)
    made = shell.agent("encrypt", "--filename-override", "s.yaml", stdin=BASE.encode())
    assert made.code == 0, made.err
    shell.write("s.yaml", made.out)
    repository.commit("base")
    repository.git("checkout", "-q", "-b", "other")
    shell.write(".sops.yaml", rule.replace("]", f", {added}]", 1))
    done = shell.agent("updatekeys", "-y", "s.yaml")
    assert done.code == 0, done.err
    repository.set("s.yaml", {'["b"]': "2"})
    repository.git("checkout", "-q", "main")
    repository.set("s.yaml", {'["a"]': "1"})
    repository.git("merge", "--no-edit", "other")
    assert repository.read("s.yaml").count(added) == 1
    text = repository.opened("s.yaml")
    assert "a: 1\n" in text
    assert "b: 2" in text


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
    """As for somebody who has not set up the driver: the values merge, and the MAC is in conflict."""
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
