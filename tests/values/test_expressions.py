"""What is made of a sealed value once it is opened, and what that may cost."""

import base64
import json
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.values import passwords, placeholders
from agent.values.errors import LimitError, PlaceholderError, SecretValueError
from agent.values.expressions import MOST_DEPTH, MOST_OUTPUT, MOST_STEPS, Evaluation, Expression, Expressions
from agent.values.reveal import reveal
from agent.values.secret import Secret
from agent.yaml.read import manifests

P = placeholders.of("sops", "password")
Q = placeholders.of("sops", "user")
PEM = "-----BEGIN-----\nabc\n-----END-----\n"
TEXT = st.text(st.characters(exclude_categories=["Cs"]))


def evaluate(expression, values, *, known=(), clock=lambda: 0.0):
    inputs = {token: Secret(value, f"l:{number}") for number, (token, value) in enumerate(values.items())}
    return Evaluation({each.placeholder: each for each in known}, inputs, clock, 1.0).value(expression)


@pytest.mark.parametrize(
    ("op", "args", "value", "result"),
    [
        ("concat", (f"postgres://u:{P}@db",), "s3cr3t", "postgres://u:s3cr3t@db"),
        ("concat", (P,), 5, "5"),
        ("concat", (f"n={P}",), True, "n=true"),
        ("concat", (f"a:\n  {P}\nb",), "x\ny", "a:\n  x\n  y\nb"),
        ("concat", (f"a:\n  {P}",), PEM, "a:\n  -----BEGIN-----\n  abc\n  -----END-----\n  "),
        ("concat", (f"  {P}",), "x\ny", "  x\ny"),
        ("concat", (f"a:\n  k={P}",), "x\ny", "a:\n  k=x\ny"),
        ("concat", (f"a:\n{P}",), "x\ny", "a:\nx\ny"),
        ("clip", (P, "\n"), "x", "x\n"),
        ("clip", (P, "\n"), PEM, PEM),
        ("clip", (P, "\n\n"), "x\n", "x\n\n"),
        ("b64enc", (P,), "héllo", base64.b64encode("héllo".encode()).decode()),
        ("b64enc", (P,), b"\xff\x00", "/wA="),
        ("b64enc", (f"u:{P}",), "pw", base64.b64encode(b"u:pw").decode()),
        ("b64enc", (f"a\n  {P}",), "x\ny", base64.b64encode(b"a\n  x\ny").decode()),
        ("dotenv", (P,), "a\nb", "a\\nb"),
        ("dotenv", (P,), "a\\nb", "a\\nb"),
        ("dotenv", (P,), "pw\r", "pw"),
        ("dotenv", (P,), "pw\r\r", "pw\r"),
        ("godotenv", (P,), "plain", "plain"),
        ("godotenv", (P,), '"a b" # c', "a b"),
        ("godotenv", (P,), "'$A \\n'", "$A \\n"),
        ("godotenv", (P,), '"a\\nb\\\\c"', "a\nb\\c"),
        ("godotenv", (P,), " a#b #c ", "a#b"),
        ("godotenv", (P,), "p$ss$", "p$ss$"),
        ("godotenv", (P,), '""', ""),
        ("json", (P,), '"<a>&\\\u2028', '\\"\\u003ca\\u003e\\u0026\\\\\\u2028'),
        ("goquote", (P,), 'a"\\\n\t\x07\x7f\x00é\u200b\U000e0001', 'a\\"\\\\\\n\\t\\a\\x7f\\x00é\\u200b\\U000e0001'),
    ],
)  # fmt: skip
def test_operations(op, args, value, result):
    found = evaluate(Expression(op, args), {P: value})
    assert reveal(found) == result
    assert found.labels == ("l:0",)


@given(TEXT)
def test_escaped_text_between_quotes_reads_as_the_value(value):
    go, of_json = (str(reveal(evaluate(Expression(op, (P,)), {P: value}))) for op in ("goquote", "json"))
    [document] = manifests.parse(f'v: "{go}"'.encode(), file="x.yaml")
    assert document.tree == {"v": value}
    assert json.loads(f'"{of_json}"') == value


@given(TEXT, TEXT)
def test_operations_nest_and_carry_the_labels_of_all_that_went_in(user, password):
    inner = Expression("json", (P,))
    outer = Expression("b64enc", (f'{{"auth": "{Q}:{inner.placeholder}"}}',))
    found = evaluate(outer, {P: password, Q: user}, known=[inner])
    wanted = f'{{"auth": "{user}:{reveal(evaluate(inner, {P: password}))}"}}'
    assert reveal(found) == base64.b64encode(wanted.encode()).decode()
    assert set(found.labels) == {"l:0", "l:1"}


def test_an_expression_is_known_by_its_operation_and_arguments():
    ones = [Expression("concat", ("a", "b")), Expression("concat", ("ab",)), Expression("b64enc", ("ab",))]
    assert len({each.placeholder for each in ones}) == 3
    assert ones[0].sealed("l").id == ones[0].placeholder
    assert ones[0].sealed("l").type == "expression"


def test_what_a_leaf_is_made_of_is_found_to_the_end():
    inner = Expression("json", (P,))
    outer = Expression("concat", (f"a {inner.placeholder} {Q}",))
    whole = Expressions({each.placeholder: each for each in (inner, outer)}, {P: "vault://p", Q: "vault://q"})
    assert whole.behind([outer.placeholder]) == whole
    assert whole.behind([inner.placeholder]) == Expressions({inner.placeholder: inner}, {P: "vault://p"})
    assert whole.behind(["of another render"]) == Expressions()


@pytest.mark.parametrize(
    "expression",
    [
        Expression("rot13", (P,)),
        Expression("b64enc", (P, P)),
        Expression("b64enc", ()),
        Expression("b64enc", ("clear",)),
        Expression("clip", (P, "x")),
        Expression("clip", (P, P)),
        Expression("clip", ("\n", P)),
        Expression("concat", (f"{Q}{P}",)),
        Expression("concat", (f"a{P[:20]}",)),
    ],
)
def test_what_is_not_known_is_refused_without_a_value(expression):
    with pytest.raises(PlaceholderError) as caught:
        evaluate(expression, {P: "canary"})
    assert "canary" not in str(caught.value)


def test_bytes_are_no_text_unless_they_are_encoded_whole():
    with pytest.raises(SecretValueError):
        evaluate(Expression("b64enc", (f"a{P}",)), {P: b"\xff"})


@pytest.mark.parametrize("value", ["a$HOME", "${A}", '"\\$A"', "'x", '"x\\"', "'x' y", "# x"])
def test_what_godotenv_reads_in_other_ways_is_refused_without_the_value(value):
    with pytest.raises(SecretValueError) as refused:
        evaluate(Expression("godotenv", (P,)), {P: value})
    assert value not in str(refused.value)
    assert refused.value.__context__ is None


def chain(length, op="b64enc"):
    found, text = [], P
    for _ in range(length):
        found.append(Expression(op, (text,)))
        text = found[-1].placeholder
    return found


def test_nesting_is_bounded():
    allowed = chain(MOST_DEPTH, "json")
    assert reveal(evaluate(allowed[-1], {P: "a"}, known=allowed)) == "a"
    more = chain(MOST_DEPTH + 1, "json")
    with pytest.raises(LimitError):
        evaluate(more[-1], {P: "a"}, known=more)


def test_an_operation_on_itself_ends():
    loop = Expression("json", (P,))
    with pytest.raises(LimitError):
        Evaluation({P: loop}, {}, lambda: 0.0, 1.0).value(loop)


def test_output_is_bounded_and_doubling_is_not_worth_it():
    whole = evaluate(Expression("concat", (P,)), {P: "a" * MOST_OUTPUT})
    assert len(str(reveal(whole))) == MOST_OUTPUT
    doubling, text = [], P
    for _ in range(MOST_DEPTH):
        doubling.append(Expression("concat", (f"{text} {text}",)))
        text = doubling[-1].placeholder
    with pytest.raises(LimitError):
        evaluate(doubling[-1], {P: "canary"}, known=doubling)


def evaluate_many(count, text, value):
    evaluation = Evaluation({}, {P: Secret(value, "l")}, lambda: 0.0, 1.0)
    for number in range(count):
        evaluation.value(Expression("concat", (text.format(number),)))


def test_results_together_are_bounded():
    with pytest.raises(LimitError):
        evaluate_many(17, f"{{}} {P}", "a" * (MOST_OUTPUT - 10))


def test_steps_are_bounded_however_they_are_spread():
    with pytest.raises(LimitError):
        evaluate(Expression("concat", (f"{P} " * MOST_STEPS,)), {P: "a"})
    with pytest.raises(LimitError):
        evaluate_many(MOST_STEPS, f"{{}}{P}", "a")


def test_an_expression_of_many_is_evaluated_once():
    shared = Expression("b64enc", (P,))
    text = f"{shared.placeholder} " * 100
    ticks = iter(range(1000))
    evaluate(Expression("concat", (text,)), {P: "a"}, known=[shared], clock=lambda: next(ticks) * 0.001)
    assert next(ticks) < 110


@pytest.mark.parametrize("op", ["derivePassword", "upper"])
def test_what_is_slow_by_design_has_time_of_its_own(op):
    times = iter([0.0, 0.1, 0.2, 0.3])
    first = Expression(op, (P, "1", "pin", "u", "s") if op == "derivePassword" else (P,))
    values = {P: Secret("x", "l"), Q: Secret("y", "l")}
    evaluation = Evaluation({first.placeholder: first}, values, lambda: next(times, 1.8), 1.0)
    if op == "upper":
        with pytest.raises(LimitError):
            evaluation.value(Expression("concat", (f"{first.placeholder}-{Q}",)))
    else:
        made = evaluation.value(Expression("concat", (f"{first.placeholder}-{Q}",)))
        assert reveal(made) == passwords.derived("x", ("1", "pin", "u", "s")) + "-y"


def test_the_deadline_ends_an_evaluation():
    ticks = iter([0.5, 0.9, 1.1])
    with pytest.raises(LimitError):
        evaluate(Expression("concat", (f"{P} {P}",)), {P: "a"}, clock=lambda: next(ticks))


@pytest.mark.parametrize(
    "around",
    [
        pytest.param("a:\n" + " " * 8_000 + "%s", id="one that is indented far"),
        pytest.param("\n" + " " * 100 + "%s.", id="many that are indented"),
    ],
)
def test_indents_are_bounded_before_they_are_made(around):
    of = placeholders.of("sops", "y")
    text = (around % of) * (50 if "." in around else 1)
    evaluation = Evaluation({}, {of: Secret("\n" * 20_000, "l")}, lambda: 0.0, 1.0)
    tracemalloc.start()
    try:
        with pytest.raises(LimitError):
            evaluation.value(Expression("concat", (text,)))
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()
