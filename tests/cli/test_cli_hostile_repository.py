"""On a laptop, in the repository of others: nothing in it is run, nothing outside it is written, and what is shown is what is there."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import terminals
from processes import AGENT
from repositories import Repository, repository

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Shell

__all__ = ["repository"]

OUTSIDE = "password: of-the-user-4711\n"


def config(repository: Repository, *scope: str) -> dict[str, str]:
    found = repository.git("config", *scope, "--get-regexp", "signet", code=None).out.splitlines()
    return dict(line.split(" ", 1) for line in found if " " in line)


def plant(folder: Path) -> Path:
    """What `python -m agent.cli.main` would run in this folder, and a program called `agent`; each leaves a trace."""
    trace = folder.parent / "trace"
    (folder / "agent/cli").mkdir(parents=True)
    for name in ("__init__.py", "cli/__init__.py", "cli/main.py"):
        (folder / "agent" / name).write_text(f"open({str(trace)!r}, 'w').close()\n")
    return trace


# What Git is configured to run


def test_git_calls_the_console_script_by_its_absolute_path(repository: Repository) -> None:
    for name in ("merge.signet.driver", "diff.signet.textconv"):
        program = config(repository)[name].split()[0]
        assert program.startswith("/"), program
        assert program.endswith("/agent")
        assert os.access(program, os.X_OK)


def test_a_diff_and_a_merge_run_nothing_of_the_repository_and_need_no_path(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    trace = plant(repository.folder)
    repository.branches("s.yaml", "a: 1\nb: 2\nc: 3\n", {'["a"]': "5"}, {'["c"]': "7"})
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    shown = repository.git("show", "HEAD", "--", "s.yaml").out
    assert "-a: fp:" in shown
    repository.git("merge", "--no-edit", "other")
    assert not trace.exists()
    assert repository.opened("s.yaml") == "a: 5\nb: 2\nc: 7\n"


OLD = {
    "with the modules of the work tree": f"{sys.executable} -m agent.cli.main",
    "by its name": "agent",
}


@pytest.mark.parametrize("scope", ["--local", "--global"])
@pytest.mark.parametrize("old", OLD.values(), ids=OLD.keys())
def test_settings_of_an_earlier_version_are_repaired_wherever_they_stand(
    repository: Repository, old: str, scope: str
) -> None:
    repository.shell.agent("git-setup", "--remove")
    repository.git("config", scope, "merge.signet.driver", f"{old} merge-driver -- %O %A %B %P %L")
    repository.git("config", scope, "diff.signet.textconv", f"{old} textconv --fingerprints")
    repository.git("config", scope, "--add", "diff.signet.textconv", f"{old} textconv --fingerprints")
    dry = repository.shell.agent("git-setup", "--dry-run", "*.yaml")
    assert f"would do: git config {scope} diff.signet.textconv" in dry.out.decode() or scope == "--local"
    for command in (("git-setup", "*.yaml"), ("git-setup", "--global", "*.yaml")):
        assert repository.shell.agent(*command).code == 0
        found = config(repository, scope)
        assert found["merge.signet.driver"].startswith("/"), found
        assert found["merge.signet.driver"].endswith("/agent merge-driver -- %O %A %B %P %L")
        assert found["diff.signet.textconv"].endswith("/agent textconv --fingerprints --")
        assert repository.git("config", scope, "--get-all", "diff.signet.textconv").out.count("\n") == 1
    assert repository.shell.agent("git-setup", "*.yaml").out == b"nothing to do\n"


def test_a_file_whose_name_begins_with_a_dash_has_its_diff(repository: Repository) -> None:
    repository.encrypt("s.yaml", "a: 1\n")
    (repository.folder / "s.yaml").rename(repository.folder / "--plaintext.yaml")
    repository.commit()
    assert repository.shell.agent("set", "--", "--plaintext.yaml", '["a"]', "2").code == 0
    shown = repository.git("diff").out
    assert "+a: fp:" in shown
    assert "+a: 2" not in shown


def test_gitattributes_that_is_a_link_is_not_written_to(repository: Repository) -> None:
    (repository.folder / ".gitattributes").unlink()
    target = repository.shell.folder.parent / "profile"
    target.write_text("mine\n")
    (repository.folder / ".gitattributes").symlink_to(target)
    result = repository.shell.agent("git-setup", "*.yaml")
    assert result.code == 3
    assert target.read_text() == "mine\n"


def test_rules_behind_a_link_that_leads_out_get_no_gitattributes(repository: Repository) -> None:
    outside = repository.shell.folder.parent / "mine"
    outside.mkdir()
    (outside / ".sops.yaml").write_text("creation_rules:\n- path_regex: a[.]yaml$\n")
    (repository.folder / "secrets").symlink_to(outside)
    (repository.folder / "inside").mkdir()
    (repository.folder / "inside/.sops.yaml").write_text("creation_rules:\n- path_regex: a[.]yaml$\n")
    (repository.folder / "way").symlink_to("inside")
    result = repository.shell.agent("git-setup", "--config", "secrets/.sops.yaml")
    assert "not of this repository" in result.err
    assert [each.name for each in outside.iterdir()] == [".sops.yaml"]
    assert repository.shell.agent("git-setup", "--config", "way/.sops.yaml").code == 0
    assert "merge=signet" in (repository.folder / "inside/.gitattributes").read_text()


# What is read


@pytest.mark.parametrize(
    ("link", "command"),
    [
        (".sops.yaml", ("encrypt", "-i", "own.yaml")),
        (".sops.yaml", ("encrypt", "--check", ".")),
        (".sops.yaml", ("verify", "--offline", "own.yaml")),
        ("s.yaml", ("decrypt", "s.yaml")),
        ("s.yaml", ("updatekeys", "-y", "s.yaml")),
        ("operator.yaml", ("render", "-n", "shop", "--operator-file", "operator.yaml", ".")),
        ("app.yaml", ("render", "-f", "app.yaml", ".")),
    ],
    ids=lambda each: each if isinstance(each, str) else " ".join(each),
)
def test_a_link_to_a_device_without_an_end_fills_no_memory(shell: Shell, link: str, command: tuple[str, ...]) -> None:
    shell.write("own.yaml", "a: 1\n")
    (shell.folder / link).symlink_to("/dev/zero")
    result = shell.agent(*command)
    assert result.code != 0
    assert f"{link}: " in result.err
    assert "this is no file but a device or a pipe, and has no end" in result.err


def test_devices_and_pipes_are_none_of_what_a_glob_matches(shell: Shell) -> None:
    shell.write(".sops.yaml", f"creation_rules:\n- age: {shell.recipient}\n")
    shell.write("real/own.yaml", "a: 1\n")
    (shell.folder / "real/zero.yaml").symlink_to("/dev/zero")
    os.mkfifo(shell.folder / "real/pipe.yaml")
    for glob in ("real/*", "real/*.yaml", "*/*.yaml", "**/*.yaml"):
        result = shell.agent("encrypt", "--dry-run", glob)
        assert (result.code, result.out.count(b"would be encrypted")) == (0, 2), result.err
        assert b"own.yaml" in result.out


# What is written


@pytest.fixture
def hostile(shell: Shell) -> Path:
    """A repository whose `secrets` leads to a folder of its user, and whose rules name the attacker. Gives a file of that folder."""
    outside = shell.folder.parent / "mine"
    outside.mkdir()
    (outside / "db.yaml").write_text(OUTSIDE)
    shell.write(".sops.yaml", f"creation_rules:\n- age: {shell.recipient}\n")
    shell.write("real/own.yaml", "a: 1\n")
    (shell.folder / "secrets").symlink_to(outside)
    (shell.folder / "real/deeper").symlink_to(outside)
    (shell.folder / "real/file.yaml").symlink_to(outside / "db.yaml")
    return outside / "db.yaml"


NAMED = [
    "secrets/*",
    "secrets/db.yaml",
    "secrets",
    "secrets/",
    "./secrets/../secrets/db.yaml",
    "secrets/../mine/db.yaml",
    "real/*",
    "real/deeper/*.yaml",
    "real/deeper/db.yaml",
    "real/file.yaml",
    "**/*.yaml",
    "*/db.yaml",
    "{here}/secrets/db.yaml",
    "{here}/secrets/*",
]


@pytest.mark.parametrize("named", NAMED)
@pytest.mark.parametrize("flags", [("encrypt", "-i"), ("encrypt", "-i", "--dry-run")], ids=" ".join)
def test_a_link_leads_no_command_out_of_the_folder_of_the_rules(
    shell: Shell, hostile: Path, named: str, flags: tuple[str, ...]
) -> None:
    result = shell.agent(*flags, named.format(here=shell.folder))
    assert hostile.read_text() == OUTSIDE
    assert b"would be encrypted" not in result.out or b"real/own.yaml" in result.out
    assert "db.yaml  would be" not in result.out.decode()


def test_every_command_that_writes_refuses_it(shell: Shell, hostile: Path) -> None:
    sealed = shell.agent("encrypt", "--age", shell.recipient, str(hostile)).out
    hostile.write_bytes(sealed)
    other = "age1yt3tfqlfrwdwx0z0ynwplcr6qxcxfaqycuprpmy89nr83ltx74tqdpszlw"
    shell.write(".sops.yaml", f"creation_rules:\n- age: {shell.recipient},{other}\n")
    for command in (
        ("updatekeys", "-y", "secrets/db.yaml"),
        ("updatekeys", "-y", "secrets/"),
        ("decrypt", "-i", "secrets/db.yaml"),
        ("rotate", "-i", "--add-age", other, "secrets/db.yaml"),
        ("set", "secrets/db.yaml", '["password"]', '"x"'),
        ("unset", "secrets/db.yaml", '["password"]'),
        ("groups", "add", "-f", "secrets/db.yaml", "--age", other, "-i"),
        ("decrypt", "--output", "secrets/db.yaml", "secrets/db.yaml"),
    ):
        result = shell.agent(*command)
        assert result.code != 0, command
        assert b"a link leads to this file" in result.out + result.err.encode(), command
        assert hostile.read_bytes() == sealed, command


@pytest.mark.parametrize("named", ["real/.sops.yaml", "{outside}/rules.yaml", "{outside}/../rules.yaml"])
@pytest.mark.parametrize("by", ["flag", "environment"])
def test_rules_of_the_users_own_open_no_way_out(shell: Shell, hostile: Path, named: str, by: str) -> None:
    path = named.format(outside=hostile.parent)
    shell.write(path, f"creation_rules:\n- age: {shell.recipient}\n")
    flags = ("--config", path) if by == "flag" else ()
    if by == "environment":
        shell.env("SOPS_CONFIG", path)
    for file in ("secrets/db.yaml", "real/file.yaml", "real/deeper/db.yaml"):
        result = shell.agent("encrypt", "-i", *flags, file)
        assert result.code != 0, file
        assert "a link leads to this file" in result.err
        assert hostile.read_text() == OUTSIDE
    assert shell.agent("encrypt", "-i", *flags, str(hostile)).code == 0


def test_rules_in_a_folder_below_open_no_way_out_of_the_work_tree(
    shell: Shell, hostile: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (shell.folder / ".git").mkdir()
    for folder in (shell.folder / "real", hostile.parent):
        shell.write(str(folder / ".sops.yaml"), f"creation_rules:\n- age: {shell.recipient}\n")
    (shell.folder / ".sops.yaml").unlink()
    monkeypatch.chdir(shell.folder / "real")
    result = shell.agent("encrypt", "-i", "../secrets/db.yaml")
    assert result.code != 0
    assert "a link leads to this file" in result.err
    assert hostile.read_text() == OUTSIDE
    assert shell.agent("encrypt", "-i", "own.yaml").code == 0


def test_what_is_named_by_its_own_path_is_the_users_choice(shell: Shell, hostile: Path) -> None:
    assert shell.agent("encrypt", "-i", str(hostile)).code == 0
    assert hostile.read_text() != OUTSIDE


def test_links_that_stay_within_the_folder_lead_where_they_led(shell: Shell, hostile: Path) -> None:
    del hostile
    (shell.folder / "inside").symlink_to("real")
    (shell.folder / "one.yaml").symlink_to("real/own.yaml")
    assert shell.agent("encrypt", "-i", "one.yaml").code == 0
    assert shell.agent("set", "inside/own.yaml", '["a"]', "2").code == 0
    assert (shell.folder / "one.yaml").is_symlink()
    assert "ENC[" in (shell.folder / "real/own.yaml").read_text()


def test_a_folder_that_the_user_keeps_behind_a_link_works_as_ever(shell: Shell, hostile: Path) -> None:
    del hostile
    away = shell.folder.parent / "away"
    away.symlink_to(shell.folder)
    assert shell.agent("encrypt", "-i", str(away / "real/own.yaml")).code == 0


# What is shown

TURNED = "a: admin\u202e\u2066\u200f\x1b[2J\x9b1m\r!\tx\n"


@pytest.mark.parametrize("command", ["decrypt", "textconv"])
def test_nothing_that_a_terminal_shows_turns_its_text_or_moves_its_cursor(shell: Shell, command: str) -> None:
    shell.write(
        "s.bin",
        shell.agent("encrypt", "--age", shell.recipient, "--filename-override", "s.bin", stdin=TURNED.encode()).out,
    )
    code, shown = terminals.run([*AGENT, command, "s.bin"], [], cwd=shell.folder)
    assert code == 0
    assert "a: admin\\u202e\\u2066\\u200f\\x1b[2J\\x9b1m\\r!\tx" in shown
    done = subprocess.run([*AGENT, "decrypt", "s.bin"], cwd=shell.folder, capture_output=True, check=True)
    assert done.stdout == TURNED.encode(), "a program gets the bytes as they are"
