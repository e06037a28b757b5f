"""`agent git-setup` and `agent textconv`: what Git's configuration has then, and what its diffs show."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from repositories import Repository, repository

if TYPE_CHECKING:
    from conftest import Shell

__all__ = ["repository"]

BASE = "# a note\na: canary-one\nb: canary-two\n"


@pytest.fixture
def bare(shell: Shell) -> Repository:
    """A repository that nothing is set up in."""
    made = Repository(shell)
    made.git("init", "-q", "-b", "main")
    return made


def config(repository: Repository) -> dict[str, str]:
    found = repository.git("config", "--get-regexp", "signet", code=None).out.splitlines()
    return dict(line.split(" ", 1) for line in found)


def attribute(repository: Repository, path: str) -> str:
    return repository.git("check-attr", "merge", "diff", "--", path).out


def test_patterns_come_from_the_rules_and_twice_is_once(bare: Repository) -> None:
    bare.shell.write(
        ".sops.yaml",
        f"creation_rules:\n  - path_regex: ^my secrets/.*\\.ya?ml$\n    age: {bare.shell.recipient}\n"
        f"  - path_regex: \\.enc\\.env$\n    age: {bare.shell.recipient}\n  - age: {bare.shell.recipient}\n",
    )
    bare.shell.write(".gitattributes", "*.png binary")
    dry = bare.shell.agent("git-setup", "--dry-run")
    assert dry.code == 0
    assert b"would do: git config merge.signet.driver" in dry.out
    assert config(bare) == {}
    done = bare.shell.agent("git-setup")
    assert done.code == 0
    assert "rule 3 of .sops.yaml" in done.err
    attributes = bare.read(".gitattributes")
    assert attributes.startswith('*.png binary\n"my secrets/**/*.yaml" merge=signet diff=signet\n')
    for path in ("my secrets/a.yaml", "my secrets/x/y.yml", "deep/a.enc.env"):
        assert attribute(bare, path).count(": signet") == 2, path
    assert "signet" not in attribute(bare, "other.yaml")
    settings = config(bare)
    assert settings["merge.signet.driver"].endswith(" merge-driver -- %O %A %B %P %L")
    assert settings["diff.signet.cachetextconv"] == "false"
    assert bare.shell.agent("git-setup").out == b"nothing to do\n"
    assert bare.read(".gitattributes") == attributes


def test_it_is_undone(bare: Repository) -> None:
    bare.shell.write(".gitattributes", "*.png binary\n")
    assert bare.shell.agent("git-setup", "a b/*.yaml").code == 0
    assert attribute(bare, "a b/x.yaml").count(": signet") == 2
    assert bare.shell.agent("git-setup", "--remove").code == 0
    assert config(bare) == {}
    assert bare.read(".gitattributes") == "*.png binary\n"
    assert bare.shell.agent("git-setup", "--remove").out == b"nothing to do\n"


def test_for_all_repositories(bare: Repository) -> None:
    assert bare.shell.agent("git-setup", "--global", "--no-textconv", "*.yaml").code == 0
    text = (bare.folder.parent / "home" / ".gitconfig").read_text()
    assert '[merge "signet"]' in text
    assert '[diff "signet"]' not in text
    assert "signet" not in (bare.folder / ".git" / "config").read_text()


def test_outside_of_a_repository(shell: Shell) -> None:
    result = shell.agent("git-setup")
    assert result.code == 2
    assert "not in a work tree" in result.err


def changes(repository: Repository, *command: str) -> list[str]:
    found = repository.git(*command).out.splitlines()
    return [line for line in found if line[:1] in {"+", "-"} and line[:3] not in {"+++", "---"}]


def test_a_diff_tells_which_value_changed_and_not_what_it_is(repository: Repository) -> None:
    repository.encrypt("s.yaml", BASE)
    repository.commit("base")
    assert repository.shell.agent("set", "s.yaml", '["a"]', '"canary-new"').code == 0
    found = changes(repository, "diff")
    assert [line.split("fp:")[0] for line in found] == ["-a: ", "+a: "]
    repository.commit()
    text = repository.git("log", "-p").out
    assert "b: fp:" in text
    assert "canary" not in text
    assert "ENC[" not in text


def test_or_what_it_is_where_a_person_asked_for_that(repository: Repository) -> None:
    assert repository.shell.agent("git-setup", "--plaintext-diffs").code == 0
    repository.encrypt("s.yaml", BASE)
    repository.commit("base")
    assert repository.shell.agent("set", "s.yaml", '["a"]', '"canary-new"').code == 0
    assert changes(repository, "diff") == ["-a: canary-one", "+a: canary-new"]
    repository.commit()
    repository.git("log", "-p")
    assert repository.holds("canary") == []


def test_a_diff_shows_recipients_and_a_new_data_key(repository: Repository) -> None:
    repository.encrypt("s.env", "a=canary-one\n")
    repository.commit("base")
    assert (
        repository.shell.agent(
            "rotate",
            "-i",
            "--add-age",
            f"{repository.shell.recipient},age1yt3tfqlfrwdwx0z0ynwplcr6qxcxfaqycuprpmy89nr83ltx74tqdpszlw",
            "s.env",
        ).code
        == 0
    )
    found = changes(repository, "diff")
    assert "+# sops: age age1yt3tfqlfrwdwx0z0ynwplcr6qxcxfaqycuprpmy89nr83ltx74tqdpszlw" in found
    assert any(line.startswith("+# sops: data key fp:") for line in found)


def test_what_does_not_open_is_shown_as_it_is(repository: Repository) -> None:
    repository.encrypt("s.yaml", BASE)
    data = repository.read("s.yaml").encode()
    repository.shell.env("SOPS_AGE_KEY", None)
    result = repository.shell.agent("textconv", "s.yaml")
    assert (result.code, result.out) == (0, data)
    assert "no key opens the data key" in result.err
    repository.shell.write("plain.yaml", BASE)
    assert repository.shell.agent("textconv", "plain.yaml").out.decode() == BASE
    repository.shell.write("broken.yaml", "sops: [\nlastmodified")
    assert repository.shell.agent("textconv", "broken.yaml").out == b"sops: [\nlastmodified"


def test_equal_values_of_two_places_have_different_fingerprints(repository: Repository) -> None:
    repository.encrypt("s.yaml", "# same\na: same\nb: same\nempty: ''\nc_unencrypted: same\n")
    out = repository.shell.agent("textconv", "--fingerprints", "s.yaml").out.decode()
    lines = dict(line.split(": ", 1) for line in out.splitlines() if ": " in line and line[0] != "#")
    assert lines["a"] != lines["b"]
    assert lines["c_unencrypted"] == "same"
    assert lines["empty"] == "''"
    assert out.startswith("# fp:")
