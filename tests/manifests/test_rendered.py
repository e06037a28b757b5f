"""What a renderer gave with placeholders, as objects whose leaves are sealed."""

import base64
import copy
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.desired import cautions
from agent.manifests import presented, references, rendered, resolve
from agent.manifests.rendered import Output
from agent.values import placeholders
from agent.values.errors import AgentError, LimitError, ManifestError, PlaceholderError, ReferenceSyntaxError
from agent.values.expressions import Evaluation, Expression
from agent.values.reveal import reveal
from agent.values.secret import Sealed, Secret
from agent.values.tree import map_leaves, walk

PW = Sealed("a1", "sops:db.yaml#password", "str")
USER = Sealed("a2", "sops:db.yaml#user", "str")
P, Q = placeholders.of("sops", "a1"), placeholders.of("sops", "a2")
REFERENCE = "vault://main/secret/shop#pw"
R = placeholders.of("ref", REFERENCE)
SOURCES = {P: PW, Q: USER, R: REFERENCE}
TEXT = st.text(st.characters(exclude_categories=["Cs"]))


def encoded(text, width=76):
    whole = base64.b64encode(text.encode()).decode()
    return "\n".join(whole[at : at + width] for at in range(0, len(whole), width))


def config_map(value):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"k": value}}


def secret(**fields):
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, **fields}


def read(tree, *expressions, sources=SOURCES, handed=()):
    known = {**sources, **{each.placeholder: each for each in expressions}}
    return rendered.read([Output("overlays/prod/x.yaml", copy.deepcopy(tree))], known, handed)


def leaf(value, *expressions):
    found = read(config_map(value), *expressions)
    assert found.objects[0].error is None
    return found.objects[0].tree["data"]["k"], found


def opened(found, values):
    """The first object with its sealed leaves in the clear."""
    inputs = {}
    for token, source in found.expressions.inputs.items():
        inputs[token] = Secret(values[source.id] if isinstance(source, Sealed) else f"<{source}>", "l")
    evaluation = Evaluation(found.expressions.known, inputs, lambda: 0.0, 1.0)

    def clear(_, value):
        if not isinstance(value, Sealed):
            return value
        if value.id in found.expressions.known:
            return reveal(evaluation.value(found.expressions.known[value.id]))
        return values[value.id]

    return map_leaves(found.objects[0].tree, clear)


@pytest.mark.parametrize(
    "value", ["", "text", "a: sGn", 5, True, None, 1.5, "vault://main/secret/shop#pw", "${vault://x/y/z#k}", "a" * 36]
)
def test_clear_leaves_stay(value):
    assert leaf(value)[0] == value


def test_a_placeholder_alone_is_its_value():
    assert leaf(P)[0] == PW
    assert leaf(R)[0] == REFERENCE


@pytest.mark.parametrize(
    ("text", "wanted"),
    [(f"{R}\n", "${%s}\n"), (f"a {R} b {R}", "a ${%s} b ${%s}")],
)
def test_references_alone_are_text_that_is_resolved_as_everywhere(text, wanted):
    found, result = leaf(text)
    assert found == wanted.replace("%s", REFERENCE)
    assert not result.expressions.known
    assert references.find({"spec": found})


@pytest.mark.parametrize(
    ("text", "values", "wanted"),
    [
        (f"{P}\n", {"a1": "x"}, "x\n"),
        (f"{P}\n", {"a1": "x\ny\n"}, "x\ny\n"),
        (f"{P}\n\n", {"a1": "x\n"}, "x\n\n"),
        (f"\n{P}", {"a1": "x\n"}, "\nx\n"),
        (f"postgres://{Q}:{P}@db", {"a1": "x", "a2": "u"}, "postgres://u:x@db"),
        (f"key: |\n  {P}\n", {"a1": "x\ny"}, "key: |\n  x\n  y\n"),
        (f"{Q} {R}", {"a2": "u"}, f"u <{REFERENCE}>"),
        (f"{Q} ${{{REFERENCE}}} $${{vault://a}}", {"a2": "u"}, f"u <{REFERENCE}> ${{vault://a}}"),
        (encoded(f"u:{P}"), {"a1": "x"}, encoded("u:x")),
        (encoded(f"u:{P}", 10), {"a1": "x"}, encoded("u:x")),
        (encoded(R), {}, encoded(f"<{REFERENCE}>")),
    ],
)
def test_text_around_values_is_put_together_when_they_are_opened(text, values, wanted):
    found, result = leaf(text)
    assert isinstance(found, Sealed)
    assert found.type == "expression"
    assert opened(result, values)["data"]["k"] == wanted
    for label in (
        source.label if isinstance(source, Sealed) else source for source in result.expressions.inputs.values()
    ):
        assert label in found.label


@pytest.mark.parametrize("width", [10, 70, 1000])
def test_what_a_generator_encoded_into_a_secret_is_read_as_if_it_had_not(width):
    tree = secret(
        data={
            "pw": encoded(P, width),
            "url": encoded(f"u:{P}@h\n", width),
            "ref": encoded(R, width),
            "inline": encoded(f"a {R}\n", width),
            "clear": encoded("plain", width),
            "sealed": P,
        }
    )
    found = read(tree)
    result = found.objects[0].tree
    assert result["data"] == {"clear": encoded("plain", width), "sealed": PW}
    assert result["stringData"]["pw"] == PW
    assert result["stringData"]["ref"] == REFERENCE
    assert result["stringData"]["inline"] == f"a ${{{REFERENCE}}}\n"
    assert opened(found, {"a1": "x"})["stringData"]["url"] == "u:x@h\n"
    finished = resolve.fill(
        resolve.unseal(result, {"a1": Secret("YQ==", "l"), result["stringData"]["url"].id: Secret("u", "l")}),
        {references.parse(REFERENCE): Secret("v", "l")},
    )
    assert {key: reveal(value) for key, value in finished["data"].items()} == {
        "pw": encoded("YQ=="),
        "url": encoded("u"),
        "ref": encoded("v"),
        "inline": encoded("a v\n"),
        "clear": encoded("plain"),
        "sealed": "YQ==",
    }


def test_string_data_of_the_same_key_stays_as_the_api_server_has_it():
    found = read(secret(data={"pw": encoded(P)}, stringData={"pw": "clear"}))
    assert found.objects[0].tree["stringData"] == {"pw": "clear"}


@given(st.lists(st.tuples(TEXT, st.sampled_from([P, Q])), min_size=1, max_size=4), TEXT, TEXT, TEXT)
def test_a_text_is_what_it_would_be_of_plaintext(pairs, rest, user, password):
    """Except for what is read otherwise on purpose: adjacent values, line breaks at the end, indentation."""
    text = "".join(before + token for before, token in pairs) + rest
    clear = text.replace(P, password).replace(Q, user)
    values = {"a1": password, "a2": user}
    held = any(not before for before, _ in pairs[1:])
    found = read(secret(data={"k": encoded(text)}))
    assert (found.objects[0].error is not None) == held
    if not held and "\n" not in clear:
        assert opened(found, values)["stringData"]["k"] == clear
    found = read(config_map(encoded(text)))
    assert found.objects[0].error is None
    if "\n" not in clear:
        assert opened(found, values)["data"]["k"] == encoded(clear, 10**6)


JSON, GO = Expression("json", (P,)), Expression("goquote", (P,))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (f'{{"pw": "{JSON.placeholder}"}}', '{"pw": "a\\"b"}'),
        (f'pw = "{GO.placeholder}"\n', 'pw = "a\\"b"\n'),
        (JSON.placeholder, 'a"b'),
        (GO.placeholder, 'a"b'),
        (f"pw={GO.placeholder} x", 'pw=a"b x'),
        (encoded(f'"{GO.placeholder}"'), encoded('"a\\"b"')),
        (encoded(GO.placeholder), encoded('a"b')),
    ],
)
def test_a_value_is_escaped_where_its_quotes_are_still_there(text, wanted):
    _, result = leaf(text, JSON, GO)
    assert opened(result, {"a1": 'a"b'})["data"]["k"] == wanted


def test_lines_that_were_moved_right_within_quotes_stay_so():
    """A parser takes the indentation of a block away, and none of what stands in quotes."""
    moved = Expression("indent", (P, "2"))
    inside = Expression("json", (f"a:\n    {moved.placeholder}",))
    _, result = leaf(inside.placeholder, moved, inside)
    assert opened(result, {"a1": "x\ny"})["data"]["k"] == "a:\n    x\n  y"
    _, result = leaf(f"a:\n  {moved.placeholder}\n", moved)
    assert opened(result, {"a1": "x\ny"})["data"]["k"] == "a:\n  x\n  y\n"


@pytest.mark.parametrize("text", [f'"{GO.placeholder}', f'a {GO.placeholder}"', f'"\\"{GO.placeholder}\\""'])
def test_quotes_that_are_half_gone_or_escaped_hold_the_object(text):
    assert isinstance(read(config_map(text), GO).objects[0].error, PlaceholderError)


FOREIGN = placeholders.of("sops", "of another render")


@pytest.mark.parametrize(
    ("tree", "field"),
    [
        (config_map(FOREIGN), "data.k"),
        (config_map(P[:20]), "data.k"),
        (config_map(P.upper()), "data.k"),
        (config_map(P + Q), "data.k"),
        (config_map(f"a{P}{P}b"), "data.k"),
        (config_map(encoded(FOREIGN)), "data.k"),
        (config_map(f"base64: {encoded(P)}"), "data.k"),
        (config_map({"a": [{P: 1}]}), "data.k.a[0]"),
        (config_map({f"a{P[:10]}": 1}), "data.k"),
        (config_map("x") | {"apiVersion": P}, "apiVersion"),
        (config_map("x") | {"kind": P}, "kind"),
        (config_map("x") | {"metadata": {"name": f"a-{P}"}}, "metadata.name"),
        (config_map("x") | {"metadata": {"name": "c", "labels": {"a": R}}}, "metadata.labels.a"),
        (config_map("x") | {"metadata": {"name": "c", "labels": {P: "a"}}}, f"metadata.labels.{P}"),
        (config_map("x") | {"metadata": {"annotations": {"a": encoded(P)}}}, "metadata.annotations.a"),
        (config_map("x") | {"metadata": {"annotations": {"a": P[:12]}}}, "metadata.annotations.a"),
        (config_map("x") | {"metadata": {"finalizers": ["a", P]}}, "metadata.finalizers[1]"),
        (secret(data={"a": f"x {encoded(P)}"}), "data.a"),
        (secret(data={"a": encoded(P[:20] + "x")}), "stringData.a"),
        (secret(data={"a": encoded(P + Q)}), "stringData.a"),
        (secret(data={P: "a"}), "data"),
    ],
)
def test_what_cannot_be_read_holds_its_object_alone(tree, field):
    found = rendered.read([Output("a.yaml", tree), Output("b.yaml", config_map(P))], SOURCES, ())
    held, other = found.objects
    assert isinstance(held.error, PlaceholderError)
    assert (held.error.facts["file"], held.error.facts["field"]) == ("a.yaml", field)
    assert other.error is None
    assert other.tree["data"]["k"] == PW


def test_lists_are_taken_apart():
    items = [config_map(P), config_map(FOREIGN)]
    found = read({"apiVersion": "v1", "kind": "List", "items": items})
    assert [each.error is None for each in found.objects] == [True, False]


def test_a_value_that_stands_nowhere_is_named_once():
    env = Expression("dotenv", (Q,))
    found = read(config_map(f"x {P}"), env, handed=[P, R, Q, env.placeholder])
    assert found.unused == (REFERENCE, USER.label)
    used = [config_map(f"x {P}"), secret(data={"a": encoded(env.placeholder)}), config_map(R)]
    found = read({"apiVersion": "v1", "kind": "List", "items": used}, env, handed=[P, R, Q, env.placeholder])
    assert found.unused == ()


def test_a_value_of_a_held_object_is_used():
    assert read(config_map(P + Q), handed=[P, Q]).unused == ()
    assert read(config_map([P[:20], Q]), handed=[Q]).unused == ()


@pytest.mark.parametrize(
    "fields", [{"data": "x"}, {"data": ["x"]}, {"data": {"a": encoded(P)}, "stringData": "x"}, {"data": None}]
)
def test_a_secret_whose_data_is_no_map_is_left_to_those_who_judge_manifests(fields):
    found = read(secret(**fields)).objects[0]
    assert found.error is None
    assert found.tree.keys() == secret(**fields).keys()


def test_expressions_are_known_by_their_leaves_and_have_all_that_they_are_made_of():
    inner = Expression("dotenv", (P,))
    value, found = leaf(f"a {inner.placeholder} {R}", inner)
    assert {*found.expressions.known} == {value.id, inner.placeholder}
    assert found.expressions.inputs == {P: PW, R: REFERENCE}
    assert [each.id for _, each in walk(found.objects[0].tree) if isinstance(each, Sealed)] == [value.id]


@pytest.mark.parametrize(
    "sources",
    [
        {P: Expression("json", (Q,))},
        {Expression("rot13", (Q,)).placeholder: Expression("rot13", (Q,))},
        {Expression("json", ()).placeholder: Expression("json", ())},
        {Expression("json", (Q[:9],)).placeholder: Expression("json", (Q[:9],))},
    ],
)
def test_an_operation_that_is_not_ours_ends_the_reading(sources):
    with pytest.raises(PlaceholderError):
        rendered.read([Output("a.yaml", config_map("x"))], {**SOURCES, **sources}, ())


def test_an_operation_on_a_value_that_was_not_handed_out_holds_the_object():
    foreign = Expression("dotenv", (FOREIGN,))
    found = read(config_map(foreign.placeholder), foreign)
    assert isinstance(found.objects[0].error, PlaceholderError)


def bomb(op, text, levels):
    made, inner = [], P
    for _ in range(levels):
        made.append(Expression(op, (text.format(inner),)))
        inner = made[-1].placeholder
    return made


@pytest.mark.parametrize(
    "made",
    [bomb("json", "{0} {0}", 40), bomb("json", "{0}", 2000), bomb("json", "{0} {0}", 20)],
    ids=["both", "nest", "double"],
)
def test_operations_that_double_or_nest_without_end_hold_the_object(made):
    found = read(config_map(made[-1].placeholder), *made).objects[0]
    assert isinstance(found.error, LimitError)
    assert found.error.facts["field"] == "data.k"


def test_a_reference_that_cannot_be_read_beside_a_value_names_its_field():
    found = read(config_map(f"{P} ${{vault://nonsense}}")).objects[0]
    assert isinstance(found.error, ReferenceSyntaxError)
    assert found.error.facts["field"] == "data.k"


def test_presented_references_are_placeholders_and_escapes_stay():
    sources = {}
    text = f"a ${{{REFERENCE}}} $${{vault://x}} ${{OTHER}}"
    assert presented.text(text, sources) == f"a {R} $${{vault://x}} ${{OTHER}}"
    assert presented.text(REFERENCE, sources) == R
    assert sources == {R: REFERENCE}
    with pytest.raises(AgentError):
        presented.text("vault://nonsense", sources)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_values_of_env_lines_are_presented(end):
    sources = {}
    lines = ["# vault://main/secret/shop#pw", f"A={REFERENCE}", f"B=x ${{{REFERENCE}}}", "", "D==a", " # C", ""]
    wanted = [lines[0], f"A={R}", f"B=x {R}", *lines[3:]]
    assert presented.env_lines(end.join(lines), sources, file="a.env") == end.join(wanted)
    assert sources == {R: REFERENCE}


def test_a_key_alone_is_not_taken_from_an_environment():
    with pytest.raises(ManifestError) as caught:
        presented.env_lines("A=1\nPATH\n", {}, file="a.env")
    assert (caught.value.facts["file"], caught.value.facts["line"]) == ("a.env", 2)


def test_values_that_stand_nowhere_are_one_warning():
    [warning] = cautions.unused([PW.label, REFERENCE])
    assert PW.label in str(warning.error)
    assert REFERENCE in str(warning.error)
    assert cautions.unused([]) == []


@pytest.mark.parametrize("made", [False, True], ids=["of files", "made of expressions"])
def test_copies_of_a_value_are_bounded_before_they_are_written(made):
    """A renderer can put what stands for one value into any number of places."""
    copies = {f"k{number}": Sealed("x", "l", "str") for number in range(200)}
    tree = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}, "stringData": copies}
    values = {"x": Secret("v" * 262_144, "l")}
    tracemalloc.start()
    try:
        with pytest.raises(LimitError):
            resolve.fill(tree if made else resolve.unseal(tree, values), {}, values if made else None)
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()


def test_expressions_in_one_another_are_bounded_for_an_object():
    of = placeholders.of("sops", "x")
    sources = {of: Sealed("x", "l", "str")}
    last = of
    for _ in range(14):
        twice = Expression("json", (f"{last} {last}",))
        sources[twice.placeholder], last = twice, twice.placeholder
    tops = [Expression("json", (f"{last} {number}",)) for number in range(100)]
    sources |= {each.placeholder: each for each in tops}
    data = {f"k{number}": f"x {each.placeholder}" for number, each in enumerate(tops)}
    tree = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": data}
    found = rendered.read([Output("f", tree)], sources, [of])
    assert isinstance(found.objects[-1].error, LimitError)
