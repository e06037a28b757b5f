"""Variables in objects: what Flux documents and tests of its postBuild, and where we differ on purpose.

Rows marked `flux` are of fluxcd/pkg `envsubst/eval_test.go` (Apache 2.0; the tests of drone/envsubst, MIT, before it).
"""

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.manifests import expansion, rendered, substitution
from agent.manifests.rendered import Output
from agent.values import placeholders
from agent.values.errors import AgentError, LimitError, PlaceholderError, ReferenceSyntaxError, SubstitutionError
from agent.values.secret import Sealed

P = placeholders.of("sops", "a1")
FLUX = [
    ({}, "abcdEFGH28ij", "abcdEFGH28ij"),
    ({"v": "abcdEFGH28ij"}, "${#v}", "12"),
    ({"v": "abcdEFGH28ij"}, "${v^}", "AbcdEFGH28ij"),
    ({"v": "abcdEFGH28ij"}, "${v^^}", "ABCDEFGH28IJ"),
    ({"v": "ABCDEFGH28IJ"}, "${v,}", "aBCDEFGH28IJ"),
    ({"v": "ABCDEFGH28IJ"}, "${v,,}", "abcdefgh28ij"),
    ({"p": "/home/bozo/ideas/thoughts.for.today"}, "${p:11}", "ideas/thoughts.for.today"),
    ({"p": "/home/bozo/ideas/thoughts.for.today"}, "${p:11:5}", "ideas"),
    ({"v": "abc"}, "${v=xyz}", "abc"),
    ({}, "${v=xyz}", "xyz"),
    ({"d": "foo"}, "something ${v=${d}}", "something foo"),
    ({"d": "foo1"}, "foo: ${v=${d}-suffix}", "foo: foo1-suffix"),
    ({"d": "foo1"}, "foo: ${v=prefix${d}-suffix}", "foo: prefixfoo1-suffix"),
    ({}, "${v:=xyz}", "xyz"),
    ({}, "${v:-fallback}", "fallback"),
    ({"s": "abcABC123ABCabc"}, "${s/%abc/XYZ}", "abcABC123ABCXYZ"),
    ({"s": "abcABC123ABCabc"}, "${s/#abc/XYZ}", "XYZABC123ABCabc"),
    ({"s": "somevalue"}, "${s/#/prefix-}", "prefix-somevalue"),
    ({"s": "somevalue"}, "${s/%/-suffix}", "somevalue-suffix"),
    ({"s": "abcABC123ABCabc"}, "${s//abc/xyz}", "xyzABC123ABCxyz"),
    ({"s": "abcABC123ABCabc"}, "${s/abc/xyz}", "xyzABC123ABCabc"),
    ({"f": "bash.string.txt"}, "${f#*.}", "string.txt"),
    ({"f": "path/to/file"}, "${f#*/}", "to/file"),
    ({"f": "/path/to/file"}, "${f#*/}", "path/to/file"),
    ({"f": "bash.string.txt"}, "${f##*.}", "txt"),
    ({"f": "path/to/file"}, "${f##*/}", "file"),
    ({"f": "bash.string.txt"}, "${f%.*}", "bash.string"),
    ({"f": "bash.string.txt"}, "${f%%.*}", "bash"),
    ({"v": "abcdEFGH28ij"}, "${x=${v^^}}", "ABCDEFGH28IJ"),
    ({"v": "a"}, "$${v}", "${v}"),
    ({"v": "a"}, "some text ${v}$${var$${v}$v${v}", "some text a${var${v}$va"),
    ({"d": "foo"}, "something $${var=${d}}", "something ${var=foo}"),
    ({"s": "foo/bar"}, "${s/\\//-}", "foo-bar"),
    ({"s": "foo/bar/baz"}, "${s//\\//-}", "foo-bar-baz"),
    ({"d": "foo"}, "\\\\something ${v=${d}}", "\\\\something foo"),
    ({"s": "foo.bar"}, "${s/./}", "foobar"),
    ({"foo": ""}, "${foo}", ""),
]
OURS = [
    ({"V": ""}, "${V:=d}|${V:-d}|${V=d}|${V-d}", "d|d|d|d"),
    ({"V": "v"}, "${V:=d}|${V:-d}|${V=d}|${V-d}", "v|v|v|v"),
    ({}, "${V-d}|${V:=}|${V-}", "d||"),
    ({}, "${A:=${B:-${C-x}}}", "x"),
    ({"V": "v"}, "$V ${1} ${} ${ V} $(V) $ $", "$V ${1} ${} ${ V} $(V) $ $"),
    ({"V": "v"}, "$$(V) $$$${V} $$${V}", "$(V) $${V} $v"),
    ({}, "${vault://main/secret/shop#pw} $${vault://a} vault://x", "${vault://main/secret/shop#pw} $${vault://a} vault://x"),
    ({}, "${PW:-${vault://main/secret/shop#pw}}", "${vault://main/secret/shop#pw}"),
    ({"V": "abc"}, "${V:1}|${V:0:-1}|${V:9}|${V:0:9}|${V:1:-5}", "bc|ab||abc|"),
    ({"V": "abcd"}, "${V:2:1}", "c"),
    ({"V": "héß"}, "${V^^}|${V/é/e}|${V:-d}", "HÉß|heß|héß"),
    ({"V": ""}, "${V^}|${V,,}|${#V}|${V:1}|${V#a}|${V%a}|${V/a/b}", "||0||||"),
    ({"V": "abab"}, "${V/b}|${V//b}|${V/b/}|${V///x}", "aab|aa|aab|abab"),
    ({"V": "aXbXc"}, "${V#*X}|${V##*X}|${V%X*}|${V%%X*}", "bXc|c|aXb|a"),
    ({"V": "abc"}, "${V##*}|${V%%**}|${V#?}|${V%?}|${V#z}|${V#}", "||bc|ab|abc|abc"),
    ({"V": "v1.2"}, "${V#[a-z]}|${V#[^0-9]}|${V%?}|${V#\\v}|${V##[vz]*.}", "1.2|1.2|v1.|1.2|2"),
    ({"V": "a*b"}, "${V#a\\*}", "b"),
    ({"V": "a/b"}, "${V/\\//${D:-x}}", "axb"),
    ({"V": "a}b"}, "${V}", "a}b"),
    ({"V": "a#b/c"}, "${V#a#}|${V#a#b/}|${V%/c}", "b/c|c|a#b"),
    ({"V": "a"}, "${V/a/\\/x}|${V/a/x/y}|${V/a/$$}", "/x|x/y|$"),
    ({"V": "${W}"}, "${V}", "${W}"),
]  # fmt: skip


@pytest.mark.parametrize(("values", "text", "result"), FLUX + OURS)
def test_operators(values, text, result):
    assert expansion.expand(text, values, strict=True) == result


@pytest.mark.parametrize(
    "text",
    [
        *("${m}", "${#m}", "${m^}", "${m^^}", "${m,}", "${m,,}", "${m:0}", "${m:0:10}", "${m/p/r}", "${m//p/r}"),
        *("${m/#p/r}", "${m/%p/r}", "${m#p}", "${m##p}", "${m%p}", "${m%%p}", "${a:=${m}}", "x ${m} y"),
    ],
)
def test_a_variable_that_is_not_set_is_an_error_unless_it_has_a_default_or_may_be_empty(text):
    with pytest.raises(SubstitutionError) as caught:
        expansion.expand(text, {"canary": "canary"}, strict=True)
    assert caught.value.facts["variable"] == "m"
    assert expansion.expand(text, {}, strict=False) == {"x ${m} y": "x  y", "${#m}": "0"}.get(text, "")


@pytest.mark.parametrize(
    "text",
    [
        *("${V", "${V:", "${V:=", "${V:=a", "${V.x}", "${V x}", "${V[0]}", "${V@Q}", "${#V", "${#V:1}", "${V^^[a-z]}"),
        *("${V/a", "${V:x}", "${V: 1}", "${V:1:}", "${V::1}", "${V:+a}", "${V+a}", "${V:?a}", "${V?a}", "${V/*/b}"),
        *("${V#*}", "${V%*}", "${V%[a-z]}", "${V#[!a]}", "${V%\\*}", "${#N}", "${N:1}", "${N#?}"),
        *("${V//?/b}", "${V:1", "${V:1:2", "${V#a", "${V,", "${V:=${W}"),
    ],
)
@pytest.mark.parametrize("strict", [True, False])
def test_what_cannot_be_read_or_means_two_things_is_an_error(text, strict):
    with pytest.raises(SubstitutionError) as caught:
        expansion.expand(text, {"V": "canary", "W": "canary", "N": "canarié"}, strict=strict)
    assert "canary" not in str(caught.value) + caught.value.hint


@pytest.mark.parametrize("text", ["${V}", "${V:=d}", "${V:-d}", "a ${V} b", "${U:=${V}}"])
def test_a_sealed_value_is_put_in(text):
    assert expansion.expand(text, {"V": P}, strict=True) == text.replace(text.strip("ab "), P)


@pytest.mark.parametrize(
    "text",
    [
        *("${#V}", "${V^}", "${V^^}", "${V,}", "${V,,}", "${V:1}", "${V:0:99}", "${V/a/b}", "${V//a/b}", "${V/#a/b}"),
        *("${V/%a/b}", "${V#a}", "${V##*}", "${V%a}", "${V%%*}", "${U/a/${V}}", "${U#${V}}", "${U:${V}}"),
    ],
)
def test_no_operator_looks_into_a_sealed_value(text):
    with pytest.raises(SubstitutionError) as caught:
        expansion.expand(text, {"V": P, "U": "aaa"}, strict=False)
    assert "sealed" in caught.value.message
    assert P not in str(caught.value)


@given(st.text(alphabet="${}:=-#%/^,V*?[]\\$ ", max_size=30))
def test_any_text_is_expanded_or_refused(text):
    for strict in (True, False):
        try:
            assert isinstance(expansion.expand(text, {"V": "value"}, strict=strict), str)
        except SubstitutionError:
            continue


@given(st.text(st.characters(exclude_characters="$"), max_size=40))
def test_a_text_without_a_dollar_sign_stays_and_values_are_put_in_as_they_are(text):
    assert expansion.expand(text, {}, strict=True) == text
    assert expansion.expand(f"a{text}${{V}}b", {"V": text}, strict=True) == f"a{text}{text}b"


@given(st.text("ab*", max_size=8), st.text("ab", max_size=8))
def test_patterns_are_those_of_a_shell(pattern, value):
    import re

    beginnings = [
        length
        for length in range(len(value) + 1)
        if re.fullmatch(pattern.replace("*", ".*"), value[:length]) is not None
    ]
    values = {"V": value}
    if pattern.strip("*"):
        assert expansion.expand(f"${{V#{pattern}}}", values, strict=True) == value[min(beginnings, default=0) :]
    assert expansion.expand(f"${{V##{pattern}}}", values, strict=True) == value[max(beginnings, default=0) :]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("${V:=" * 40 + "}" * 40, {}),
        ("${V}" * 1000, {"V": "a" * 10_000}),
        ("${V#" + "*a" * 2000 + "}", {"V": "a" * 5000}),
        ("${V//a/" + "b" * 1000 + "}", {"V": "a" * 5000}),
    ],
    ids=["nested", "long", "pattern", "replaced"],
)
def test_what_an_expansion_costs_is_bounded(text, values):
    with pytest.raises(LimitError):
        expansion.expand(text, values, strict=False)


def deployment(**container):
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web-${CLUSTER}", "labels": {"tier": "${N}"}},
        "spec": {"replicas": "${N}", "template": {"spec": {"containers": [{"name": "c", **container}]}}},
    }


def substituted(tree, clear=(), sealed=(), *, strict=True):
    return substitution.substitute(
        copy.deepcopy(tree), substitution.variables(dict(clear), dict(sealed), {}, strict=strict)
    )


def test_a_number_is_one_where_the_field_takes_it_and_text_where_it_takes_text():
    tree = deployment(
        env=[{"name": "N", "value": "${N}"}], args=["${N}", "-n=${N}"], ports=[{"containerPort": "8${N}"}]
    )
    found = substituted(tree, {"CLUSTER": "prod", "N": "3"})
    container = found["spec"]["template"]["spec"]["containers"][0]
    assert found["metadata"] == {"name": "web-prod", "labels": {"tier": "3"}}
    assert found["spec"]["replicas"] == 3
    assert container["env"][0]["value"] == "3"
    assert container["args"] == ["3", "-n=3"]
    assert container["ports"] == [{"containerPort": 83}]


@pytest.mark.parametrize(
    ("text", "value", "result"),
    [
        ("${V}", "8080", 8080),
        ("${V}", "true", True),
        ("${V}", "yes", True),
        ("${V}", "1.5", 1.5),
        ("${V}", "", None),
        ("${V}", "null", None),
        ("${V}", "[a, 1]", ["a", 1]),
        ("${V}", '{"a": {"b": "1"}}', {"a": {"b": "1"}}),
        ("${Q}${V}${Q}", "8080", "8080"),
        ("${Q}a${V}${Q}", "b", "ab"),
        ("${V}", "*.example.com", "*.example.com"),
        ("${V}", "a: b", "a: b"),
        ("${V}", "a # b", "a # b"),
        ("${V}", "- a", "- a"),
        ("${V}", "&a", "&a"),
        ("${V}", "!!int 5", "!!int 5"),
        ("${V}", "8080 # the port", "8080 # the port"),
        ("${V}", '"a" # b', '"a" # b'),
        ("${V}", "[a] # b", "[a] # b"),
        ("${V}", '"a # b"', "a # b"),
        ("${V}", "!x", "!x"),
        ("${V}", "%", "%"),
        ("${V}", "@a", "@a"),
        ("${V}", "'a", "'a"),
        ("${V}", "[a", "[a"),
        ("${V}", "|", "|"),
        ("${V}", "a\nb\n", "ab"),
        ("host: ${V}", "8080", "host: 8080"),
        ("[${V}]", "1", "[1]"),
        ('"${V}"', "1", '"1"'),
        ("*${V}", "1", "*1"),
        ("${V} # c", "1", "1 # c"),
        ("a\n${V}", "1", "a\n1"),
        ("${V}", P, None),
    ],
)
def test_a_leaf_is_what_flux_makes_of_it_where_that_is_yaml_and_text_elsewhere(text, value, result):
    tree = {"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "x"}, "spec": {"v": text, "w": "1"}}
    if value == P:
        found, result = substituted(tree, sealed={"V": P}), P
    else:
        found = substituted(tree, {"V": value, "Q": '"'})
    assert found["spec"] == {"v": result, "w": "1"}
    assert type(found["spec"]["v"]) is type(result)


def config_map(**data):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": data}


def test_data_of_a_config_map_stays_text_and_keys_are_substituted():
    found = substituted(config_map(**{"port": "${N}", "json": "${J}", "q": "${Q}${N}${Q}", "${K}": "x"}),
                        {"N": "8080", "J": '{"a": 1}', "K": "key", "Q": '"'})  # fmt: skip
    assert found["data"] == {"port": "8080", "json": '{"a": 1}', "q": "8080", "key": "x"}


def test_two_keys_that_become_one_are_an_error():
    with pytest.raises(SubstitutionError) as caught:
        substituted(config_map(**{"${A}": "1", "${B}": "2"}), {"A": "k", "B": "k"})
    assert caught.value.facts["field"] == "data"


@pytest.mark.parametrize("field", ["labels", "annotations"])
def test_an_object_that_asks_to_be_left_alone_is(field):
    tree = config_map(a="${V} $${W}")
    tree["metadata"][field] = {"kustomize.toolkit.fluxcd.io/substitute": "disabled"}
    assert substituted(tree, {"V": "v"}) == tree
    tree["metadata"][field] = {"kustomize.toolkit.fluxcd.io/substitute": "enabled"}
    assert substituted(tree, {"V": "v"})["data"] == {"a": "v ${W}"}


def test_errors_name_the_field_and_the_variable():
    with pytest.raises(SubstitutionError) as caught:
        substituted(deployment(args=["a", "${MISSING}"]), {"CLUSTER": "x", "N": "1"})
    assert caught.value.facts == {
        "variable": "MISSING",
        "field": "spec.template.spec.containers[0].args[1]",
    }
    assert substituted(config_map(a="x${MISSING}"), strict=False)["data"] == {"a": "x"}


@pytest.mark.parametrize("name", ["", "1a", "a-b", "a.b", "é", "a b"])
def test_names_of_variables_are_those_of_a_shell(name):
    for given_ in ({name: "x"}, {}):
        with pytest.raises(SubstitutionError):
            substitution.variables(given_, {} if given_ else {name: P}, {})


@pytest.mark.parametrize("value", [P, f"a{P}", P[:10]])
def test_a_clear_variable_forges_no_placeholder(value):
    with pytest.raises(PlaceholderError) as caught:
        substitution.variables({"V": value}, {}, {})
    assert caught.value.facts["variable"] == "V"


def test_a_reference_in_a_variable_is_sealed_too():
    sources = {}
    text = "vault://main/secret/shop#pw"
    given_ = substitution.variables({"PW": text, "URL": f"u:${{{text}}}@h", "CLEAR": "c"}, {}, sources)
    [token] = sources
    assert sources == {token: text}
    tree = config_map(a="${PW}", b="x ${URL}", c="${CLEAR} $${vault://x}")
    found = substitution.substitute(tree, given_)["data"]
    assert found == {"a": token, "b": f"x u:{token}@h", "c": "c $${vault://x}"}
    with pytest.raises(SubstitutionError):
        substitution.substitute(config_map(a="${PW^^}"), given_)
    with pytest.raises(ReferenceSyntaxError) as caught:
        substitution.variables({"PW": "vault://nonsense"}, {}, {})
    assert caught.value.facts["variable"] == "PW"


def test_a_sealed_variable_is_read_as_its_value_and_held_where_it_may_not_stand():
    tree = config_map(a="${PW}", b="x ${PW}", c="key: |\n  ${PW}\n", clear="${V}")
    found = substituted(tree, {"V": "v"}, {"PW": P})
    read = rendered.read([Output("c.yaml", found)], {P: Sealed("a1", "sops:v.yaml#PW", "str")}, [P])
    data = read.objects[0].tree["data"]
    assert data["a"] == Sealed("a1", "sops:v.yaml#PW", "str")
    assert [data[key].type for key in "bc"] == ["expression", "expression"]
    assert data["clear"] == "v"
    tree["metadata"]["name"] = "c-${PW}"
    found = substituted(tree, {"V": "v"}, {"PW": P})
    read = rendered.read([Output("c.yaml", found)], {P: Sealed("a1", "l", "str")}, [P])
    assert isinstance(read.objects[0].error, AgentError)
    assert read.objects[0].error.facts["field"] == "metadata.name"


@pytest.mark.parametrize(
    ("text", "values"),
    [
        pytest.param("${A#" + "[" * 20_000 + "}", {"A": ""}, id="brackets that do not close"),
        pytest.param("${#A}" * 2_000, {"A": "x" * 100_000}, id="a long value that is looked at often"),
        pytest.param("${A//a/${B}}", {"A": "a" * 5_000, "B": "b" * 20_000}, id="a replacement that grows"),
    ],
)
def test_what_operators_cost_together_is_bounded(text, values):
    with pytest.raises(LimitError):
        expansion.expand(text, values, strict=True)


def test_many_stars_are_one():
    assert expansion.expand("${A##" + "*" * 2_000 + "x}", {"A": "y" * 100 + "xz"}, strict=True) == "z"


def test_what_all_texts_of_an_object_become_is_bounded():
    tree = {"apiVersion": "v1", "kind": "ConfigMap", "data": {f"k{number}": "${A}" for number in range(200)}}
    with pytest.raises(LimitError):
        substitution.substitute(tree, substitution.Variables({"A": "x" * 500_000}))


def test_a_foreign_value_that_is_yaml_names_no_reference():
    tree = {"apiVersion": "example.com/v1", "kind": "Any", "spec": {"list": "${A}"}}
    values = {"A": '["va\\u0075lt://main/kv/db#password"]'}
    assert substitution.substitute(tree, substitution.Variables(values))["spec"]["list"] == [
        "vault://main/kv/db#password"
    ]
    with pytest.raises(SubstitutionError) as caught:
        substitution.substitute(tree, substitution.Variables(values, foreign=frozenset({"A"})))
    assert caught.value.facts == {"variable": "A", "field": "spec.list"}


@pytest.mark.parametrize("value", ["[" + "0," * 99_000 + "0]", "[&a [" + "0," * 2_999 + "0]" + ",*a" * 30 + "]"])
def test_nodes_that_variables_become_are_bounded(value):
    spec = {f"k{number}": "${A}" for number in range(6)}
    tree = {"apiVersion": "example.com/v1", "kind": "Any", "spec": spec}
    with pytest.raises(LimitError) as caught:
        substitution.substitute(tree, substitution.Variables({"A": value}))
    assert caught.value.facts["field"] == "spec.k5"
    assert substitution.substitute(config_map(**spec), substitution.Variables({"A": value}))["data"]["k5"] == value


def test_a_default_that_is_not_needed_counts():
    tree = config_map(**{f"k{number}": "${A:=${B}}" for number in range(100)})
    with pytest.raises(LimitError):
        substitution.substitute(tree, substitution.Variables({"A": "a", "B": "b" * 900_000}))
