"""Files of real sops are read, and ours are read by it: same text, same meaning, same refusal."""

from __future__ import annotations

import datetime as dt
import json
import math
import re
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sops_documents import DOCUMENTS, KEYS, SELECTIONS, TREES, opened, ours

from agent.cli import exit_codes
from agent.sops.format.selection import Selection
from agent.values.dataclass import replace
from agent.values.errors import AgentError

if TYPE_CHECKING:
    from conftest import Sops

CASES = [
    *((name, SELECTIONS[0]) for name in DOCUMENTS),
    *((name, selection) for name in ("manifest.yaml", "suffixes.yaml", "marked.yaml") for selection in SELECTIONS[1:]),
    *((name, replace(selection, mac_only_encrypted=True)) for name in ("marked.yaml",) for selection in SELECTIONS),
    ("manifest.yaml", replace(SELECTIONS[1], mac_only_encrypted=True)),
    ("values.json", replace(SELECTIONS[1], mac_only_encrypted=True)),
]


@pytest.mark.parametrize(
    ("name", "selection"),
    CASES,
    ids=[f"{name} {each.selector} {'encrypted' if each.mac_only_encrypted else 'all'}" for name, each in CASES],
)
def test_both_directions_give_what_sops_gives(sops: Sops, name: str, selection: Selection) -> None:
    data = DOCUMENTS[name]
    theirs = sops.encrypt(
        data, name, **{selection.selector: selection.pattern}, mac_only_encrypted=selection.mac_only_encrypted
    )
    text = sops.decrypt(theirs, name)
    assert opened(sops, theirs, name) == text

    made = ours(sops, data, name, selection)
    assert sops.decrypt(made, name) == text
    assert opened(sops, made, name) == text


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_layout_is_that_of_sops(sops: Sops, name: str) -> None:
    """Except for what is random: keys and values."""

    def layout(data: bytes) -> str:
        text = re.sub(r"(?s)-----BEGIN.*?-----END AGE ENCRYPTED FILE-----", "AGE", data.decode())
        return re.sub(r"\d{4}-\d\d-\d\dT[\d:]+Z", "TIME", re.sub(r"ENC\[[^]]*\]", "ENC", text))

    assert layout(ours(sops, DOCUMENTS[name], name, Selection())) == layout(sops.encrypt(DOCUMENTS[name], name))


@pytest.mark.parametrize("name", ["any.yaml", "any.json"])
@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(tree=st.dictionaries(KEYS, TREES, min_size=1, max_size=4))
def test_any_document_survives_both_ways(sops: Sops, name: str, tree: dict[str, Any]) -> None:
    data = json.dumps(tree, ensure_ascii=False).encode()
    made = ours(sops, data, name, Selection())
    text = sops.decrypt(made, name)
    assert opened(sops, made, name) == text
    theirs = sops.encrypt(data, name)
    assert sops.decrypt(theirs, name) == text
    assert opened(sops, theirs, name) == text
    if name.endswith("json"):
        assert same(json.loads(text), tree)


def same(one: Any, other: Any) -> bool:
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float) or isinstance(other, float):
        return math.isclose(one, other, rel_tol=0, abs_tol=0)
    return type(one) is type(other) and one == other


@pytest.mark.parametrize(
    ("data", "exit_code"),
    [
        (b"1: a\n", 23),
        (b"a: 9223372036854775808\n", 23),
        (b"- a\n", 2),
        (b"a: 1\na: 2\n", 2),
        (b"", 92),
        (b"sops: 1\n", 203),
        (b"a: [\n", 2),
        (b"text\n", 2),
    ],
)
def test_what_sops_refuses_is_refused_with_its_exit_code(sops: Sops, data: bytes, exit_code: int) -> None:
    done = sops.run("encrypt", "--age", sops.recipient, name="bad.yaml", data=data)
    assert done.returncode == exit_code
    with pytest.raises(AgentError) as caught:
        ours(sops, data, "bad.yaml", Selection())
    assert exit_codes.of(caught.value) == exit_code


def test_the_text_that_sops_prints_means_the_same_to_other_parsers(sops: Sops) -> None:
    text = opened(sops, ours(sops, DOCUMENTS["scalars.yaml"], "scalars.yaml", Selection()), "scalars.yaml")
    tree = yaml.safe_load(text)
    assert tree["quoted"] == "0123"
    assert tree["hex"] == 255
    assert tree["d"] == dt.datetime(2024, 1, 2, tzinfo=dt.UTC)
