import copy
import json
import logging
import pickle
import traceback
from string import Template

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.values.reveal import reveal
from agent.values.secret import Sealed, Secret

CANARY = "c4n4ry-value"
LABEL = "sops:apps/db.yaml#data.password"
PLAIN = st.text() | st.binary() | st.integers() | st.floats(allow_nan=False) | st.booleans()


@pytest.fixture
def secret():
    return Secret(CANARY, LABEL)


RENDERINGS = {
    "repr": repr,
    "str": str,
    "ascii": ascii,
    "format": format,
    "format with a specification": lambda s: format(s, ">100s"),
    "f-string": lambda s: f"{s} {s!r} {s!s} {s!a} {s:.3}",
    "percent": lambda s: "%s %r" % (s, s),  # noqa: UP031
    "str.format": "{0} {0!r}".format,
    "template": lambda s: Template("$x").substitute(x=s),
    "in containers": lambda s: repr(([s], {"k": s}, (s,))),
    "as an exception's argument": lambda s: "".join(traceback.format_exception_only(ValueError(s))),
    "labels": lambda s: s.label + repr(s.labels),
    "dir": lambda s: repr(dir(s)),
}


@pytest.mark.parametrize("render", RENDERINGS.values(), ids=RENDERINGS)
def test_text_forms_show_the_label(secret, render):
    assert CANARY not in render(secret)


REFUSALS = {
    "json": json.dumps,
    "json in containers": lambda s: json.dumps({"k": [s]}),
    "json with default": lambda s: json.dumps(s, default=vars),
    "orjson": orjson.dumps,
    "orjson of dataclasses": lambda s: orjson.dumps([s], option=orjson.OPT_PASSTHROUGH_DATACLASS),
    "pickle": pickle.dumps,
    "every pickle protocol": lambda s: [pickle.dumps(s, protocol) for protocol in range(6)],
    "vars": vars,
    "hash": hash,
    "as a key": lambda s: {s: 1},
    "in a set": lambda s: {s},
    "len": len,
    "bool": bool,
    "not": lambda s: not s,
    "iteration": iter,
    "unpacking": lambda s: [*s],
    "search": lambda s: "c" in s,
    "index": lambda s: s[0],
    "concatenation": lambda s: s + "x",
    "reversed concatenation": lambda s: "x" + s,
    "join": "".join,
    "int": int,
    "bytes": bytes,
    "order": lambda s: s < s,  # noqa: PLR0124
    "sorting": lambda s: sorted([s, s]),
}


@pytest.mark.parametrize("use", REFUSALS.values(), ids=REFUSALS)
def test_what_would_show_the_value_or_its_shape_is_refused(secret, use):
    with pytest.raises((TypeError, AttributeError)) as caught:
        use(secret)
    assert CANARY not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    "change", [lambda s: setattr(s, "labels", ()), lambda s: delattr(s, "labels"), lambda s: setattr(s, "x", 1)]
)
def test_a_secret_does_not_change(secret, change):
    with pytest.raises(AttributeError):
        change(secret)


def test_a_secret_is_final():
    with pytest.raises(TypeError):
        type("Leaky", (Secret,), {})


def test_copies_are_the_same_secret(secret):
    assert copy.copy(secret) is secret
    assert copy.deepcopy({"k": [secret]})["k"][0] is secret


def test_logging_shows_the_label(secret, caplog):
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("any").warning("%s %r", secret, {"k": secret})
    assert CANARY not in caplog.text
    assert LABEL in caplog.text


def test_a_traceback_through_a_frame_with_a_secret_shows_no_value(secret):
    def fail(given):
        raise ValueError(given)

    with pytest.raises(ValueError, match="secret") as caught:
        fail(secret)
    captured = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    locals_shown = [frame for frame in captured.stack if frame.name == "fail"]
    assert locals_shown
    assert CANARY not in repr([frame.locals for frame in locals_shown])


@pytest.mark.parametrize("value", [None, [], {}, object(), ("a",)])
def test_only_scalars_are_held(value):
    with pytest.raises(TypeError):
        Secret(value, "l")


def test_a_secret_says_where_it_came_from():
    with pytest.raises(TypeError):
        Secret("x")


@given(PLAIN)
def test_the_door_gives_back_what_went_in(value):
    found = reveal(Secret(value, "l"))
    assert found == value
    assert type(found) is type(value)


@given(PLAIN, PLAIN)
def test_equality_is_of_type_and_value_and_of_secrets_only(one, other):
    assert Secret(one, "a") == Secret(one, "b")
    assert (Secret(one, "a") == Secret(other, "a")) == (type(one) is type(other) and repr(one) == repr(other))
    assert Secret(one, "a") != one


@pytest.mark.parametrize(("one", "other"), [(1, True), (0, False), (1, 1.0), (1, "1"), ("a", b"a"), (True, "true")])
def test_look_alikes_differ(one, other):
    assert Secret(one, "l") != Secret(other, "l")


def test_a_sealed_leaf_shows_its_label_only():
    assert repr(Sealed("ab12", LABEL, "str")) == f"<sealed {LABEL}>"
