import inspect
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.cli import errors as commands
from agent.cli import exit_codes
from agent.values import errors
from agent.values.errors import AgentError, LimitError, ManifestError, YamlError
from agent.values.ids import ObjectId
from agent.values.text import escape

TREE = f"{errors.__doc__}{commands.__doc__}"
CLASSES = dict.fromkeys(
    found
    for module in (errors, commands)
    for _, found in inspect.getmembers(module, inspect.isclass)
    if issubclass(found, AgentError)
)


@pytest.mark.parametrize(
    ("facts", "line"),
    [
        ({}, "value is wrong"),
        ({"file": "a.yaml"}, "a.yaml: value is wrong"),
        ({"file": "a.yaml", "line": 3, "column": 7}, "a.yaml:3:7: value is wrong"),
        (
            {"field": "data.k", "object": ObjectId("apps", "Deployment", "shop", "web"), "file": "a.yaml"},
            "a.yaml: Deployment.apps shop/web: data.k: value is wrong",
        ),
        ({"limit": 5, "bytes": 6}, "value is wrong (limit 5, bytes 6)"),
    ],
)
def test_an_error_is_one_line_with_the_place_first(facts, line):
    assert str(ManifestError("value is wrong", **facts)) == line


@given(st.text(), st.text())
def test_facts_from_outside_cannot_break_the_line(file, other):
    text = str(YamlError("bad", file=file, reference=other))
    assert text.isprintable()
    assert len(text.splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a\nb", r"a\nb"), ("\x1b[31m", r"\x1b[31m"), ("a\u202eb", r"a\u202eb"), ("é b", "é b"), ("\ud800", r"\ud800")],
)
def test_control_and_bidirectional_characters_are_escaped(text, expected):
    assert escape(text) == expected


def test_more_facts_for_one_place_are_none_for_another():
    shared = LimitError("too large", hint="split it", file="a.yaml")
    one, other = shared.with_facts(object="one"), shared.with_facts(object="other")
    assert (one.facts["object"], other.facts["object"]) == ("one", "other")
    assert shared.facts == {"file": "a.yaml"}
    assert (type(one), one.message, one.hint, one.args) == (LimitError, "too large", "split it", shared.args)


def test_what_stands_on_no_line_names_none():
    """Of what a renderer gave, the file is known, and no line."""
    assert str(AgentError("broken", file="a.yaml", line=0)) == "a.yaml: broken"
    assert str(AgentError("broken", file="a.yaml").with_facts(line=0)) == "a.yaml: broken"


def test_facts_that_are_there_win():
    error = LimitError("too large", file="a.yaml").with_facts(file="b.yaml", line=1)
    assert error.facts == {"file": "a.yaml", "line": 1}


@pytest.mark.parametrize("error", CLASSES)
def test_every_error_has_a_reason_and_an_exit_code_and_a_place_in_the_tree(error):
    assert re.fullmatch(r"[A-Z][A-Za-z]+", error("x").reason)
    assert 0 < exit_codes.of(error) < 256
    assert re.search(rf"\b{error.__name__}\s", TREE)


def test_the_hint_is_apart_from_the_message():
    error = ManifestError("bad", hint="do this")
    assert str(error) == "bad"
    assert error.hint == "do this"
