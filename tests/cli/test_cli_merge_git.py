"""Encrypted files merged by value, by Git itself: merge, rebase and cherry-pick."""

from __future__ import annotations

import pytest
from repositories import BASE, Repository, repository

__all__ = ["repository"]

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


def test_files_that_are_not_encrypted_are_merged_line_by_line(repository: Repository) -> None:
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
