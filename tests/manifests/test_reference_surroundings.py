"""A value of a store within a text: escaped as its reference says, and never so that a URL or JSON around it becomes another one."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from agent.manifests import references
from agent.manifests.references import Reference
from agent.values.errors import ReferenceSyntaxError, SecretValueError
from agent.values.reveal import reveal
from agent.values.secret import Plain, Secret

if TYPE_CHECKING:
    from agent.values.tree import Tree

AWKWARD = "p@ss/w:o#r?d%&+ \"q\"\\n\n'x' {é}"
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


def filled(template: str, value: Plain = AWKWARD, *, opened: bool = False) -> str:
    tree: Tree = {"k": Secret(template, "sops:k") if opened else template}
    values = {reference: Secret(value, "vault:x") for reference in references.find(tree)}
    result = references.substitute(tree, values)
    assert isinstance(result, dict)
    leaf = result["k"]
    assert isinstance(leaf, Secret)
    text = reveal(leaf)
    assert isinstance(text, str)
    return text


def ref(options: str = "", key: str = "k") -> str:
    return f"${{vault://main/secret/db{options}#{key}}}"


@pytest.mark.parametrize(
    ("text", "path", "key"),
    [
        ("vault://main/secret/my%20app#pass%20word", "secret/my app", "pass word"),
        ("vault://main/secret/a%23b%3Fc#x%7Dy%22", "secret/a#b?c", 'x}y"'),
        ("vault://main/secret/100%25#100%25", "secret/100%", "100%"),
        ("vault://main/secret/%C3%A9#%c3%a9", "secret/é", "é"),
        ("vault://main/secret/a#50%", "secret/a", "50%"),
        ("vault://main/secret/a#%2Fa", "secret/a", "/a"),
    ],
)
def test_what_has_no_place_in_a_reference_is_percent_encoded(text: str, path: str, key: str) -> None:
    found = references.parse(text)
    assert found == Reference("main", path, key)
    assert references.parse(str(found)) == found
    assert list(references.find({"k": f"a ${{{text}}} b"})) == [found]


@pytest.mark.parametrize(
    "path", ["%252e%252e", "a%252Fb", "a%25%32%65", "a%2Fb", "%2E%2E", "a/%2e", "a%5Cb", "a%00b", "a%ff", "a%0Ab"]
)
def test_what_leads_elsewhere_is_refused_however_it_is_written(path: str) -> None:
    with pytest.raises(ReferenceSyntaxError):
        references.parse(f"vault://main/secret/{path}#k")


@given(TEXT)
def test_a_password_in_a_url_comes_back(value: str) -> None:
    url = urlsplit(filled(f"postgres://shop:{ref('?encode=url')}@db:5432/shop?x={ref('?encode=url')}", value))
    assert (url.hostname, url.port, url.path) == ("db", 5432, "/shop")
    assert unquote(url.password or "") == value
    assert unquote(url.query) == f"x={value}"


@given(TEXT, st.booleans())
def test_a_value_in_json_comes_back(value: str, opened: bool) -> None:
    template = f'{{"a": "x{ref("?encode=json")}y", "b": {ref("?encode=json")}, "c": ["{ref("?encode=json")}"]}}'
    assert json.loads(filled(template, value, opened=opened)) == {"a": f"x{value}y", "b": value, "c": [value]}


@given(st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), max_size=12))
def test_a_value_in_yaml_comes_back(value: str) -> None:
    option = "?encode=yaml"
    template = f"a: \"x{ref(option)}y\"\nb: {ref(option)}\nc: ['it''s {ref(option)}', \"{ref(option)}\"]\n"
    assert yaml.safe_load(filled(template, value)) == {
        "a": f"x{value}y",
        "b": value,
        "c": [f"it's {value}", value],
    }


@pytest.mark.parametrize(
    "value", ["a\x85b", "a\u2028b", "a\x7fb", "a\x9bb", "\ufeffab", "a\x07b", "a\0b", "a\ufffeb", "a\nb"]
)
def test_what_yaml_has_not_or_takes_for_a_line_is_escaped(value: str) -> None:
    for quote in ('"', ""):
        assert yaml.safe_load(filled(f"a: {quote}{ref('?encode=yaml')}{quote}", value)) == {"a": value}
    with pytest.raises(SecretValueError, match="in single quotes"):
        filled(f"a: '{ref('?encode=yaml')}'", value)


def test_lines_between_single_quotes_are_refused() -> None:
    with pytest.raises(SecretValueError, match="in single quotes"):
        filled(f"a: '{ref('?encode=yaml')}'")
    assert yaml.safe_load(filled(f'a: "{ref("?encode=yaml")}"')) == {"a": AWKWARD}


def test_a_whole_value_is_encoded_too() -> None:
    assert filled("vault://main/kv/a?encode=url#k", "a b") == "a%20b"
    assert filled("vault://main/kv/a?encode=json#k", 'a"b') == '"a\\"b"'
    assert filled("vault://main/kv/a?encode=none#k", "a b") == "a b"


BROKEN = {
    "a slash in a password": (f"postgres://shop:{ref()}@db/shop", "a/b", "URL"),
    "an at sign in a password": (f"https://shop:{ref()}@db/", "a@b", "URL"),
    "a hash in a user": (f"https://{ref()}:x@db/", "a#b", "URL"),
    "half an escape": (f"https://u:{ref()}@db/", "100%", "URL"),
    "an ampersand in a query": (f"https://db/?a={ref()}&b=1", "x&c=2", "URL"),
    "a plus in a query": (f"see https://db/?a={ref()} there", "x+y", "URL"),
    "a question mark in a path": (f"https://db/{ref()}/x", "a?b", "URL"),
    "an at sign in a host": (f"https://{ref()}/x", "a@evil", "URL"),
    "a colon in a user": (f"https://{ref()}:x@db/", "a:b", "URL"),
    "what a URL has no place for": (f"postgres://u:{ref()}@db/", "p^s", "URL"),
    "a letter beyond ASCII in a password": (f"postgres://u:{ref()}@db/", "pässword", "URL"),
    "another host": (f"https://{ref()}.example.com/", "evil.com/x", "URL"),
    "a path before a port": (f"https://{ref()}:8080/", "db/x", "URL"),
    "the second URL of a list": (f"http://a:1,http://u:{ref()}@db/", "a/b", "URL"),
    "a field of a URL with fields": (
        f"jdbc:sqlserver://db:1433;user=sa;password={ref()};x=y",
        "p;encrypt=false",
        "URL",
    ),
    "a semicolon in a query": (f"https://db/?a={ref()}&b=1", "x;y", "URL"),
    "a line": (f"amqp://u:p@db/{ref()}", "a\nb", "URL"),
    "a quote in JSON": (f'{{"a": "{ref()}"}}', 'a"b', "JSON"),
    "a key added to JSON": (f'{{"a": "{ref()}"}}', 'a", "b": "c', "JSON"),
    "a backslash in JSON": (f'{{"a": "{ref()}"}}', "a\\tb", "JSON"),
    "a line in JSON": (f'["{ref()}"]', "a\nb", "JSON"),
    "what only Python takes for JSON": (f'{{"a": {ref()}}}', "NaN", "JSON"),
    "text where JSON has a value": (f'{{"a": {ref()}}}', "text", "JSON"),
}


@pytest.mark.parametrize("opened", [False, True])
@pytest.mark.parametrize(("template", "value", "what"), BROKEN.values(), ids=BROKEN)
def test_a_value_that_breaks_what_is_around_it_is_refused(
    template: str, value: str, what: str, *, opened: bool
) -> None:
    with pytest.raises(SecretValueError, match=f"breaks the {what}") as caught:
        filled(template, value, opened=opened)
    assert value not in str(caught.value)
    assert caught.value.facts["field"] == "k"
    option = f"?encode={what.lower()}"
    filled(template.replace("#k", f"{option}#k"), value, opened=opened)
    raw = filled(template.replace("#k", "?encode=none#k"), value, opened=opened)
    assert raw == template.replace(ref(), value)


def test_a_url_whose_scheme_is_a_value_is_one() -> None:
    with pytest.raises(SecretValueError, match="breaks the URL"):
        filled(f"{ref('?encode=none')}://u:{ref()}@db/", "a/b")


@pytest.mark.parametrize(
    ("template", "value"),
    [
        (f"postgres://shop:{ref()}@db/shop", "hunter2:x!$&()*+,;=-._~"),
        (f"postgres://shop:{ref()}@db/shop", "p%40ss"),
        (f"https://{ref()}@db/", "user:password"),
        (f"http://a,http://b/?c={ref()}", "d,e"),
        (f"https://{ref()}/x", "db:5432/base"),
        (f"https://hooks/{ref()}", "T0/B0/x=="),
        (f"{ref()}?sslmode=require", "postgres://u:p@db/x"),
        (f"password: {ref()}", AWKWARD),
        (f'{{"port": {ref()}, "more": {ref()}}}', "5432"),
        (f'{{"map": {ref()}}}', '{"a": [1]}'),
        (f'{{"a": "{ref()}"}}', "plain é"),
        (f'{{"a": "{ref()}"', 'x"'),
        (f"{{ {ref()} }}", 'x"'),
    ],
)
def test_other_values_are_as_they_are(template: str, value: str) -> None:
    assert filled(template, value) == template.replace(ref(), value)


@pytest.mark.parametrize("template", [f"x://{ref()}@h/", f'{{"a": {ref()}, "b": "{ref()}"}}'])
def test_no_text_takes_long(template: str) -> None:
    for value in ('"' * 100_000, "\\" * 100_000, "a://" * 100_000, "{" * 100_000):
        for option in ("", "?encode=json", "?encode=yaml", "?encode=url"):
            with contextlib.suppress(SecretValueError):
                assert filled(template.replace("#k", f"{option}#k"), value)
