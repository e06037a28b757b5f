"""Merges when recipients, data keys or key groups changed on one side, or when a key is missing."""

from __future__ import annotations

import pytest
from repositories import BASE, Repository, repository, wrapped

from agent.adapters.keys import age
from agent.values.reveal import reveal

__all__ = ["repository"]


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
