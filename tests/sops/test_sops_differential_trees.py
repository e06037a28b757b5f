"""Thousands of documents made by hypothesis, many to a file: ours and those of real sops mean the same, and so do their MACs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import strategies as st
from sops_documents import KEYS, SCALARS, TREES, assert_agreement, assert_same, attempt, drawn, ours

from agent.cli import exit_codes
from agent.sops.format.selection import Selection
from agent.sops.stores import named
from agent.values.dataclass import replace
from agent.values.errors import AgentError, SopsEncryptError
from agent.yaml.nodes import Mapping
from agent.yaml.numbers import Rounded
from agent.yaml.read import yaml as sealed

if TYPE_CHECKING:
    from conftest import Sops

COUNT = 900
PLAIN = (
    st.text("0123456789+-_.:eExXobTZ~ainfyNul ,", min_size=1, max_size=14)
    | st.from_regex(r"[-+]?(0[xbo]?)?[0-9_]{1,24}", fullmatch=True)
    | st.from_regex(r"[-+]?[0-9_]{0,20}\.[0-9_]{0,9}([eE][-+]?[0-9]{1,3})?", fullmatch=True)
    | st.from_regex(
        r"[0-9]{4}-[01]?[0-9]-[0-3]?[0-9]([Tt ][0-2]?[0-9]:[0-5]?[0-9]:[0-5][0-9](\.[0-9]{1,10})?(Z|[-+][0-9]{2}:[0-9]{2})?)?",
        fullmatch=True,
    )
    | st.sampled_from(
        ["yes", "No", "on", "TRUE", "nUll", ".Inf", "-.inf", ".nan", "<<", "=", "0o17", "08", "1__0", "_1"]
    )
)
TAGS = st.sampled_from(
    ["", "", "", "", "!!str ", "!!int ", "!!float ", "!!bool ", "!!timestamp ", "!!binary ", "!mine "]
)
NUMBERS = st.from_regex(r"-?(0|[1-9][0-9]{0,24})(\.[0-9]{1,20})?([eE][-+]?[0-9]{1,2})?", fullmatch=True)
NAMES = st.builds(
    str.__add__, KEYS, st.sampled_from(["", "", "", "_secret", "_unencrypted", "data", "é", ":", " x"])
) | st.sampled_from(["data", "stringData", "<<x", "a b", "~", "1", "true"])
SELECTIONS = [
    Selection(),
    Selection("unencrypted_suffix", "_secret"),
    Selection("encrypted_suffix", "_secret"),
    Selection("encrypted_regex", "^(data|stringData)$|[0-9]_secret"),
    Selection("unencrypted_regex", "data$|^[a-m]"),
]


def yaml_text(text: str) -> bytes:
    """The same document in YAML's block style."""
    return named("yaml").emit(named("json").parse(text.encode(), file="any.json"))


def batch(trees: list[Any]) -> str:
    return json.dumps({f"d{number}": tree for number, tree in enumerate(trees)}, ensure_ascii=False)


@pytest.mark.parametrize("name", ["any.yaml", "flow.yaml", "any.json"])
def test_documents_of_any_shape_survive_both_ways(sops: Sops, name: str) -> None:
    text = batch(drawn(TREES, COUNT))
    assert_agreement(sops, yaml_text(text) if name == "any.yaml" else text.encode(), name, Selection())


@pytest.mark.parametrize("name", ["any.yaml", "any.json"])
@pytest.mark.parametrize("only_encrypted", [False, True], ids=["mac", "mac_only_encrypted"])
@pytest.mark.parametrize("selection", SELECTIONS, ids=[f"{each.selector} {each.pattern}" for each in SELECTIONS])
def test_every_selector_chooses_the_same_values(
    sops: Sops, name: str, selection: Selection, only_encrypted: bool
) -> None:
    trees = st.recursive(
        SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=9
    )
    text = batch(drawn(st.dictionaries(NAMES, trees, max_size=3), 250))
    data = yaml_text(text) if name == "any.yaml" else text.encode()
    assert_agreement(sops, data, name, replace(selection, mac_only_encrypted=only_encrypted))


@pytest.mark.parametrize("levels", [99, 148])
def test_deep_documents_survive_both_ways(sops: Sops, levels: int) -> None:
    text = '{"a":' * (levels // 2) + '[{"k": 1}, ' * (levels // 4) + '"x"' + "]" * (levels // 4) + "}" * (levels // 2)
    assert_agreement(sops, text.encode(), "deep.json", Selection())
    assert_agreement(sops, yaml_text(text), "deep.yaml", Selection())


def test_scalars_have_the_types_that_go_gives_them(sops: Sops) -> None:
    """Numbers, times and words in every spelling that YAML has for them, and those that only look like one."""

    def parsed(text: str) -> Mapping | None:
        try:
            [document] = sealed.parse(text.encode(), file="f.yaml")
        except AgentError:
            return None
        value = document.get("k")
        refused = isinstance(value, Mapping | Rounded) or (isinstance(value, int) and value >= 1 << 63)
        return None if refused or str(value) == "-0.0" else document

    written = [f"{tag}{plain}" for tag, plain in drawn(st.tuples(TAGS, PLAIN), 1800)]
    good = [text for text in written if parsed(f"k: {text}\n") is not None]
    assert len(good) > len(written) / 2
    assert_agreement(sops, "".join(f"k{n}: {text}\n" for n, text in enumerate(good)).encode(), "f.yaml", Selection())


def test_texts_are_quoted_as_sops_quotes_them(sops: Sops) -> None:
    """Any character, in values, items and keys: whether a text needs quotes, and of which kind."""
    texts = drawn(
        st.text(st.characters(codec="utf-8", exclude_characters="\ufeff"), max_size=20)
        | st.text("ab \n\t\r:#-'\"?,[]{}&*!|>%@`~=0\x85\u2028\xa0\\", max_size=12),
        3000,
    )
    # What sops writes of a block of text that begins with a blank is lost or, in a list, unreadable.
    escaped = {
        f"k{number}": [text] if text[:1].strip() else text for number, text in enumerate(texts) if text[:1] != "\t"
    }
    assert_agreement(sops, yaml_text(json.dumps(escaped)), "f.yaml", Selection())
    assert_agreement(sops, json.dumps(escaped).encode(), "f.json", Selection())
    keys = {text: number for number, text in enumerate(texts) if text != "sops"}
    assert_agreement(sops, json.dumps(keys).encode(), "keys.json", Selection())


def test_numbers_of_json_are_those_of_sops(sops: Sops) -> None:
    def held(number: str) -> bool:
        [document] = named("json").parse_plain(f'{{"k": {number}}}'.encode(), file="n.json")
        return not isinstance(document.get("k"), Rounded)

    drawn_numbers = [number for number in drawn(NUMBERS, 2000) if str(float(number)) != "-0.0"]
    numbers = [number for number in drawn_numbers if held(number)]
    assert len(numbers) > 200
    assert_agreement(sops, f'{{"n": [{", ".join(numbers)}]}}'.encode(), "n.json", Selection())


@pytest.mark.parametrize("name", ["n.yaml", "n.json"])
def test_a_negative_zero_in_the_clear_keeps_its_sign(sops: Sops, name: str) -> None:
    """sops itself cannot open what it makes of it."""
    made = ours(sops, b'{"n_unencrypted": -0.0}', name, Selection())
    assert b": -0.0" in made
    assert sops.run("decrypt", name=name, data=made).returncode == 0


@pytest.mark.parametrize("number", ["9223372036854775808", "-9223372036854775809", "1e400", "18446744073709551616"])
@pytest.mark.parametrize("name", ["n.yaml", "n.json"])
def test_numbers_that_are_too_large_have_the_same_fate(sops: Sops, name: str, number: str) -> None:
    """Where sops takes one and opens another, it is refused."""
    data = f'{{"n": {number}}}'.encode()
    done = sops.run("encrypt", "--age", sops.recipient, name=name, data=data)
    made = attempt(lambda: ours(sops, data, name, Selection()))
    if isinstance(made, bytes):
        assert_same(sops.decrypt(made, name), sops.decrypt(done.stdout, name))
    elif done.returncode == 0:
        assert made == exit_codes.of(SopsEncryptError)
        assert number.encode() not in sops.decrypt(done.stdout, name)
    else:
        assert made == done.returncode
