"""Tables: whole in a pipe, within the width of a terminal, in colours where there are any."""

from __future__ import annotations

import argparse
import importlib
import json
import re
import unicodedata
from typing import TYPE_CHECKING

import processes
import pytest
import terminals
import yaml
from hypothesis import given
from hypothesis import strategies as st

from agent.cli.flags import Parser
from agent.cli.registry import COMMANDS
from agent.cli.tables import Table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import Shell

STATUS = ("NAMESPACE", "NAME", "READY", "HEALTHY", "DRIFTED", "REVISION", "OBJECTS", "MESSAGE")
SENTENCE = "the API server refused an object, and three others wait until the user says what is to become of it"
ROW = ("customer-portal", "web", "False", "True", "Unknown", "main@1f0c3b2a9d4e", "12, 1 failed", SENTENCE)
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_SEQUENCE = re.compile(r"\x1b\[[0-9;]*[mK]")


def laid_out(headers, rows, columns, **options):
    return list(Table(headers, rows, **options).lines(columns))


def test_nothing_is_cut_in_a_pipe():
    header, line = laid_out(STATUS, [ROW], None)
    assert header.split() == list(STATUS)
    assert re.split(" {2,}", line) == list(ROW)


def test_a_terminal_of_any_width_is_kept_to():
    for columns in range(24, 240):
        lines = laid_out(STATUS, [ROW, ROW], columns)
        assert max(map(len, lines)) <= columns, (columns, lines)


@pytest.mark.parametrize(
    ("columns", "lines"),
    [
        (
            130,
            [
                "NAMESPACE        NAME  READY  HEALTHY  DRIFTED  REVISION           OBJECTS       MESSAGE",
                "customer-portal  web   False  True     Unknown  main@1f0c3b2a9d4e  12, 1 failed  the API server refused an object, and three othe…",
            ],
        ),
        (
            90,
            [
                "NAMESPACE        NAME  READY  HEALTHY  DRIFTED  REVISION           OBJECTS",
                "customer-portal  web   False  True     Unknown  main@1f0c3b2a9d4e  12, 1 failed",
                "  the API server refused an object, and three others wait until the user says what is to …",
            ],
        ),
        (
            70,
            [
                "NAMESPACE    NAME  READY  HEALTHY  DRIFTED  REVISION     OBJECTS",
                "custo…ortal  web   False  True     Unknown  main@…a9d4e  12, 1…ailed",
                "  the API server refused an object, and three others wait until the u…",
            ],
        ),
        (
            40,
            [
                "NAMESPACE  customer-portal",
                "NAME       web",
                "READY      False",
                "HEALTHY    True",
                "DRIFTED    Unknown",
                "REVISION   main@1f0c3b2a9d4e",
                "OBJECTS    12, 1 failed",
                "MESSAGE    the API server refused an ob…",
            ],
        ),
    ],
)
def test_what_gives_way_is_the_sentence_and_then_the_widest_column(columns, lines):
    assert laid_out(STATUS, [ROW], columns) == lines


def test_a_value_loses_its_end_and_a_name_its_middle():
    headers = ("OBJECT", "LIVE", "WAVE")
    row = ("ConfigMap shop/settings-of-the-web", '"abcdefghijklmnopqrstuvwxyz"', "0")
    assert laid_out(headers, [row], 40)[1] == 'ConfigMa…the-web  "abcdefghijklmn…  0'


@given(
    cells=st.lists(st.text(st.sampled_from("ab 한字é\u0301🔑-"), max_size=60), min_size=3, max_size=3),
    columns=st.integers(30, 90),
)
def test_letters_of_two_columns_and_of_none_keep_to_the_width(cells, columns):
    def width(text: str) -> int:
        wide = sum(unicodedata.east_asian_width(each) in "WF" for each in text)
        return len(text) + wide - sum(map(bool, map(unicodedata.combining, text)))

    assert max(map(width, laid_out(("OBJECT", "FILE", "MESSAGE"), [cells], columns))) <= columns


@pytest.fixture
def encrypted(shell: Shell) -> str:
    """A file with a long name, whose table is wider than a terminal."""
    name = "clusters/production/applications/shop/overlays/database-of-the-shop.yaml"
    shell.write(
        name, shell.agent("encrypt", "--age", shell.recipient, "--filename-override", "a.yaml", stdin=b"a: 1\n").out
    )
    return name


def on_a_terminal(shell: Shell, *arguments: str, **options) -> str:
    code, shown = terminals.run([*processes.AGENT, *arguments], cwd=shell.folder, **options)
    assert code == 0, shown
    return shown


@pytest.mark.parametrize("columns", [40, 60, 80, 100])
def test_a_terminal_shows_no_line_that_is_wider(shell: Shell, encrypted: str, columns: int):
    shown = on_a_terminal(shell, "verify", encrypted, columns=columns)
    assert "…" in shown
    assert [line for line in _SEQUENCE.sub("", shown).splitlines() if len(line) > columns] == []


def test_a_pipe_gets_names_and_keys_whole(shell: Shell, encrypted: str):
    shown = shell.agent("verify", encrypted).out.decode()
    assert encrypted in shown
    assert shell.recipient in shown


@pytest.mark.parametrize(
    ("environment", "coloured"),
    [
        ({"TERM": "xterm-256color"}, True),
        ({"TERM": "linux", "NO_COLOR": ""}, True),
        ({"TERM": "xterm-256color", "NO_COLOR": "1"}, False),
        ({"TERM": "dumb"}, False),
        ({"TERM": ""}, False),
    ],
)
def test_colours_are_where_a_terminal_has_them(shell: Shell, encrypted: str, environment, coloured):
    shown = on_a_terminal(shell, "verify", encrypted, environment={"NO_COLOR": "", **environment}, columns=200)
    assert bool(_COLOUR.search(shown)) is coloured
    if coloured:
        assert "\x1b[32msound\x1b[0m" in shown
    if environment["TERM"] in {"", "dumb"}:
        assert "\x1b" not in shown
    code, failed = terminals.run(
        [*processes.AGENT, "verify", "missing.yaml"],
        cwd=shell.folder,
        environment={"NO_COLOR": "", **environment},
    )
    assert code
    assert bool(_COLOUR.search(failed)) is coloured


def test_a_pipe_has_no_colours(shell: Shell, encrypted: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name in (encrypted, "missing.yaml"):
        result = shell.agent("verify", name)
        assert b"\x1b" not in result.out
        assert "\x1b" not in result.err


def test_whatever_has_json_has_the_same_as_yaml(shell: Shell, encrypted: str):
    for arguments in (("version",), ("verify", encrypted), ("rotate", "--dry-run", encrypted), ("crds",)):
        as_json = json.loads(shell.agent(*arguments, "-o", "json").out)
        assert yaml.safe_load(shell.agent(*arguments, "-o", "yaml").out) == as_json
    schema = json.loads(shell.agent("crds", "--schema", "operator").out)
    assert yaml.safe_load(shell.agent("crds", "--schema", "operator", "-o", "yaml").out) == schema


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_that_takes_json_takes_yaml(name: str):
    parser = Parser(f"agent {name}", 2)
    importlib.import_module(COMMANDS[name].module).configure(parser)
    for each in _parsers(parser):
        for action in each._actions:
            if action.choices and "json" in action.choices and "-o" in action.option_strings:
                assert "yaml" in action.choices


def _parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, each in action.choices.items():
                assert name
                yield from _parsers(each)
