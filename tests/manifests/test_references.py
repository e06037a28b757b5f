import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from written import shown

from agent.manifests import references, resolve
from agent.manifests.references import Reference
from agent.values.errors import AgentError, HeldError, ReferenceSyntaxError, SinkError
from agent.values.secret import Sealed, Secret

PASSWORD = Reference("main", "secret/shop/db", "password")
PORT = Reference("main", "secret/shop/db", "port", version=3)
MAYBE = Reference("main", "secret/shop/db", "maybe", optional=True)
VALUES = {PASSWORD: Secret("hunter2", "vault:password"), PORT: Secret(5432, "vault:port")}


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("vault://main/secret/shop/db#password", PASSWORD),
        ("vault://main/secret/shop/db?version=3#port", PORT),
        ("vault://main/secret/shop/db?optional=true#maybe", MAYBE),
        ("vault://main/secret/shop/db?optional=false#password", PASSWORD),
        ("vault://main/kv/a?decode=base64#tls.crt", Reference("main", "kv/a", "tls.crt", decode=True)),
        ("vault://eu-1/kv/a#/nested/key~1b", Reference("eu-1", "kv/a", "/nested/key~1b")),
        ("vault://main/kv/a#k#7?x", Reference("main", "kv/a", "k#7?x")),
        ("vault://main/kv/ä/b_c.d#k%", Reference("main", "kv/ä/b_c.d", "k%")),
    ],
)
def test_references_are_read_and_written(text, reference):
    assert references.parse(text) == reference
    assert references.parse(str(reference)) == reference


@pytest.mark.parametrize(
    "text",
    [
        "vault://main/secret/shop",
        "vault://main/secret/shop#",
        "vault://main/secret#k",
        "vault:///secret/shop#k",
        "vault://-main/secret/shop#k",
        "vault://main/secret//shop#k",
        "vault://main/secret/../sys#k",
        "vault://main/secret/./shop#k",
        "vault://main/secret/shop/#k",
        "vault://main/secret/%2e%2e/sys#k",
        "vault://main/secret/a\\b#k",
        "vault://main/secret/shop?version=0#k",
        "vault://main/secret/shop?version=-1#k",
        "vault://main/secret/shop?version=1&version=2#k",
        "vault://main/secret/shop?decode=hex#k",
        "vault://main/secret/shop?optional#k",
        "vault://main/secret/shop?address=https://evil#k",
        "vault://main/secret/a b#k",
        "vault://main/secret/${vault://main/kv/a#k}#k",
        "vault://https://evil:8200/v1#k",
        "lease://db#username",
        "https://main/secret/shop#k",
    ],
)
def test_what_is_malformed_is_refused(text):
    with pytest.raises(ReferenceSyntaxError):
        references.parse(text)


def test_a_reference_has_at_most_512_characters():
    head, tail = "vault://main/secret/", "#k"
    longest = head + "a" * (512 - len(head) - len(tail)) + tail
    assert str(references.parse(longest)) == longest
    for text in (longest + "k", head + "a" * 1_500_000 + tail, "vault://main/secret/a#" + "k" * 1_500_000):
        for leaf in (text, f"x ${{{text}}} y", Secret(text, "sops:a.yaml#a"), Secret(f"${{{text}}}", "sops:a.yaml#a")):
            with pytest.raises(ReferenceSyntaxError, match="reference is too long") as caught:
                references.find({"data": {"a": leaf}})
            assert caught.value.facts["field"] == "data.a"
            assert len(str(caught.value)) < 400


def test_references_are_found_with_all_their_places():
    tree = {
        "data": {
            "whole": "vault://main/secret/shop/db#password",
            "inline": "u:${vault://main/secret/shop/db#password}@h:${vault://main/secret/shop/db?version=3#port}",
            "escaped": "$${vault://main/secret/shop/db#none}",
            "prose": "see vault://main/secret/shop/db#none for more",
            "number": 5,
        },
        "list": ["vault://main/secret/shop/db#password"],
    }
    assert references.find(tree) == {
        PASSWORD: [("data", "whole"), ("data", "inline"), ("list", 0)],
        PORT: [("data", "inline")],
    }


def test_references_are_found_inside_opened_values():
    tree = {"data": {"a": Secret("u:${vault://main/secret/shop/db#password}", "sops:a"), "b": Secret(7, "sops:b")}}
    assert references.find(tree) == {PASSWORD: [("data", "a")]}
    filled = references.substitute(tree, VALUES)
    assert filled["data"]["a"].labels == ("sops:a", "vault:password")
    assert shown(filled) == {"data": {"a": "u:hunter2", "b": 7}}


@pytest.mark.parametrize(
    ("leaf", "expected"),
    [
        ("vault://main/secret/shop/db?version=3#port", 5432),
        ("port ${vault://main/secret/shop/db?version=3#port}", "port 5432"),
        ("${vault://main/secret/shop/db?version=3#port}", 5432),
        ("$${vault://main/secret/shop/db#x} and $HOME ${OTHER}", "${vault://main/secret/shop/db#x} and $HOME ${OTHER}"),
        ("<${vault://main/secret/shop/db?optional=true#maybe}>", "<>"),
        ("no reference", "no reference"),
        ("", ""),
        (True, True),
        (None, None),
    ],
)
def test_values_take_the_place_of_references(leaf, expected):
    assert shown(references.substitute({"k": leaf}, VALUES)) == {"k": expected}
    if isinstance(leaf, str):
        secret = references.substitute({"k": Secret(leaf, "sops:k")}, VALUES)
        assert isinstance(secret["k"], Secret)
        assert shown(secret) == {"k": expected}


def test_an_optional_value_that_is_missing_takes_its_field_away():
    tree = {"a": {"k": str(MAYBE), "l": "x"}, "b": [str(MAYBE), "y"]}
    assert references.substitute(tree, {}) == {"a": {"l": "x"}, "b": ["y"]}


def test_a_value_that_is_missing_is_never_empty():
    with pytest.raises(HeldError) as caught:
        references.substitute({"a": {"k": f"x${{{PASSWORD}}}"}}, {})
    assert caught.value.facts == {"field": "a.k", "reference": str(PASSWORD)}


def test_what_a_store_answers_is_not_searched_again():
    values = {
        PASSWORD: Secret("${vault://main/secret/shop/db?version=3#port}", "vault:password"),
        PORT: VALUES[PORT],
    }
    filled = references.substitute({"k": f"${{{PASSWORD}}}", "l": f"a ${{{PASSWORD}}}"}, values)
    assert shown(filled)["l"] == "a ${vault://main/secret/shop/db?version=3#port}"


@pytest.mark.parametrize("place", ["apiVersion", "kind", "metadata"])
def test_references_do_not_stand_in_what_everybody_sees(place):
    with pytest.raises(SinkError):
        references.find({place: {"annotations": {"a": f"${{{PASSWORD}}}"}}})


def test_a_key_is_no_reference():
    with pytest.raises(ReferenceSyntaxError):
        references.find({"data": {str(PASSWORD): "x"}})


@pytest.mark.parametrize(
    ("text", "write"),
    [
        ("<path:secret/data/shop#key>", "vault://<store>/secret/shop#key"),
        ("<path:secret/data/shop#key#3 | base64encode>", "vault://<store>/secret/shop#key"),
        ("vault:secret/data/shop#key", "vault://<store>/secret/shop#key"),
        ("vault:secret/data/shop#key#3", "vault://<store>/secret/shop#key"),
        (">>vault:secret/data/shop#key", "vault://<store>/secret/shop#key"),
        ("postgres://<path:secret/data/shop#key>@db", "vault://<store>/secret/shop#key"),
        ("postgres://${vault:secret/data/shop#key}@db", "vault://<store>/secret/shop#key"),
        ("ref+vault://secret/shop#/key", "vault://<store>/secret/shop#key"),
        ("ref+openbao://secret/shop#/key", "vault://<store>/secret/shop#key"),
    ],
)
def test_forms_of_other_tools_are_refused_with_their_rewrite(text, write):
    with pytest.raises(ReferenceSyntaxError) as caught:
        references.find({"data": {"k": text}})
    assert caught.value.facts == {"field": "data.k", "write": write}
    with pytest.raises(ReferenceSyntaxError) as caught:
        references.find({"data": {"k": Secret(text, "sops:k")}})
    assert "shop" not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["vault: yes", "a <path:x> b", "vault:", "vault:x", "<none>", "ref+file://x", "$vault"]
)
def test_other_text_is_left_alone(text):
    assert references.find({"k": text, "l": Secret(text, "s")}) == {}


def test_generic_placeholders_are_refused_where_the_plugin_would_fill_them():
    annotated = {
        "metadata": {"annotations": {"avp.kubernetes.io/path": "secret/data/shop"}},
        "data": {"k": "a <key> b"},
    }
    with pytest.raises(ReferenceSyntaxError) as caught:
        references.find(annotated)
    assert caught.value.facts == {"field": "data.k"}
    assert references.find({"data": {"k": "a <key> b"}}) == {}


def test_an_unclosed_reference_does_not_quote_what_follows():
    with pytest.raises(ReferenceSyntaxError) as caught:
        references.find({"data": {"k": "${vault://main/secret/a#k\npassword: canary"}})
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "vault://canary",
        "vault://canary/canary canary",
        "x${vault://canary canary}",
        "x${vault://canary",
        "lease://canary#canary",
        "vault:canary/canary#canary",
        "<path:canary#canary>",
        "vault://main/secret/canary/../x#canary",
    ],
)
def test_a_malformed_reference_in_an_opened_value_is_not_quoted(text):
    with pytest.raises(ReferenceSyntaxError) as caught:
        references.find({"data": {"k": Secret(text, "sops:k")}})
    assert caught.value.facts == {"field": "data.k"}
    assert "canary" not in f"{caught.value} {caught.value!r} {caught.value.hint} {caught.value.__context__!r}"


def test_sealed_leaves_open_by_their_ids():
    sealed = Sealed("id1", "sops:a#k", "str")
    assert shown(resolve.unseal({"a": [{"k": sealed}, "x"]}, {"id1": Secret("v", "sops:a#k")})) == {
        "a": [{"k": "v"}, "x"]
    }
    with pytest.raises(HeldError):
        resolve.unseal({"k": sealed}, {})


@pytest.mark.parametrize("leaf", [None, 5, True, "text", Secret(5, "x"), Secret("text", "x")])
def test_what_names_no_store_is_a_value_and_no_template(leaf):
    assert references.has_reference(leaf) is False


@pytest.mark.timeout(30)
@pytest.mark.parametrize(
    "part",
    [
        "<path:a#",
        "<path:",
        "${vault:a",
        "${vault:a#",
        "${vault://",
        "${vault://a#",
        "$",
        "${",
        "vault://",
        "<a ",
        ">>vault:",
        "\n",
    ],
)
def test_long_texts_are_searched_in_time(part):
    text = part * (1_000_000 // len(part))
    for leaf in (text, f"x{text}", Secret(text, "s"), Secret(f"x{text}", "s")):
        with contextlib.suppress(ReferenceSyntaxError):
            references.find({"metadata": {"annotations": {"avp.kubernetes.io/path": "x"}}, "data": {"k": leaf}})


SEGMENT = st.text(
    st.characters(categories=["L", "Nd"], include_characters="._-~:@!,;=+% #?"), min_size=1, max_size=8
).filter(lambda text: text not in {".", ".."})
REFERENCES = st.builds(
    Reference,
    store=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,5}[A-Za-z0-9]", fullmatch=True).filter(str.isascii),
    path=st.lists(SEGMENT, min_size=2, max_size=4).map("/".join),
    key=st.text(st.characters(categories=["L", "Nd"], include_characters="./_-#?~% }"), min_size=1, max_size=8),
    version=st.none() | st.integers(1, 10**9 - 1),
    decode=st.booleans(),
    optional=st.booleans(),
    encode=st.sampled_from(["", "none", "url", "json", "yaml"]),
)


@given(REFERENCES)
def test_the_canonical_text_reads_back(reference):
    assert references.parse(str(reference)) == reference


@given(
    st.lists(
        st.text(st.characters(exclude_categories=["Cs"]), max_size=6) | REFERENCES.map(lambda r: f"${{{r}}}"),
        max_size=5,
    ),
    st.booleans(),
)
def test_what_is_found_is_all_that_substitution_needs_and_nothing_is_left(parts, opened):
    text = "".join(parts)
    tree = {"k": Secret(text, "sops:k") if opened else text}
    try:
        found = references.find(tree)
    except ReferenceSyntaxError:
        return
    filled = references.substitute(tree, {reference: Secret("x", "vault:x") for reference in found})
    if "k" in filled and "$${" not in text:
        assert "${vault://" not in str(shown(filled)["k"])


@given(st.text())
def test_any_text_gives_references_or_an_error_of_ours(text):
    for leaf in (
        text,
        "vault://" + text,
        "${vault://" + text,
        Secret("vault://" + text, "s"),
        Secret("${vault://" + text, "s"),
    ):
        with contextlib.suppress(AgentError):
            references.substitute(
                {"k": leaf}, {reference: Secret("x", "v") for reference in references.find({"k": leaf})}
            )
