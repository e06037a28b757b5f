"""Numbers and times, as Go reads and prints them."""

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.yaml import numbers, timestamps
from agent.yaml.nodes import Timestamp

FLOATS = st.floats(allow_nan=False, allow_infinity=False)


@pytest.mark.parametrize(
    ("value", "general", "decimal", "json"),
    [
        (1.0, "1", "1", "1"),
        (-0.0, "-0", "-0", "-0"),
        (0.5, "0.5", "0.5", "0.5"),
        (1234.56789, "1234.56789", "1234.56789", "1234.56789"),
        (100000.0, "100000", "100000", "100000"),
        (1e6, "1e+06", "1000000", "1000000"),
        (123456789.5, "1.234567895e+08", "123456789.5", "123456789.5"),
        (1e20, "1e+20", "100000000000000000000", "100000000000000000000"),
        (1e21, "1e+21", "1000000000000000000000", "1e+21"),
        (1e-4, "0.0001", "0.0001", "0.0001"),
        (1e-6, "1e-06", "0.000001", "0.000001"),
        (1.5e-7, "1.5e-07", "0.00000015", "1.5e-7"),
        (5e-324, "5e-324", "0." + "0" * 323 + "5", "5e-324"),
    ],
)
def test_floats_are_printed_as_go_prints_them(value, general, decimal, json):
    assert (numbers.float_text(value), numbers.decimal_text(value), numbers.json_text(value)) == (
        general,
        decimal,
        json,
    )


@pytest.mark.parametrize(
    ("value", "general", "decimal"),
    [(math.inf, ".inf", "+Inf"), (-math.inf, "-.inf", "-Inf"), (math.nan, ".nan", "NaN")],
)
def test_what_is_no_number_has_a_name(value, general, decimal):
    assert (numbers.float_text(value), numbers.decimal_text(value)) == (general, decimal)


@given(FLOATS)
def test_every_form_reads_back_as_the_same_float(value):
    assert (
        float(numbers.float_text(value))
        == float(numbers.decimal_text(value))
        == float(numbers.json_text(value))
        == value
    )
    assert "e" not in numbers.decimal_text(value)


@given(st.integers(-(2**63), 2**64 - 1))
def test_integers_of_64_bits_are_read_in_every_base(value):
    sign, digits = ("-", -value) if value < 0 else ("", value)
    for text in (
        f"{sign}{digits}",
        f"{sign}{digits:#x}",
        f"{sign}{digits:#b}",
        f"{sign}{digits:#o}",
        f"{sign}0{digits:o}",
    ):
        assert numbers.parse_int(text) == value


@pytest.mark.parametrize(
    "text", ["", "+", "0x", "08", "1a", "--1", "18446744073709551616", "-9223372036854775809", "1_0", "1" * 9999]
)
def test_other_texts_are_no_integers(text):
    assert numbers.parse_int(text) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2001-12-14", "2001-12-14T00:00:00Z"),
        ("2001-1-2", "2001-01-02T00:00:00Z"),
        ("2001-12-14t21:59:43.10-05:00", "2001-12-14T21:59:43.1-05:00"),
        ("2001-12-14T21:59:43.123456789123Z", "2001-12-14T21:59:43.123456789Z"),
        ("2001-12-14 1:2:3", "2001-12-14T01:02:03Z"),
        ("2001-12-14T00:00:00+00:00", "2001-12-14T00:00:00Z"),
        ("2024-02-29", "2024-02-29T00:00:00Z"),
        ("2023-02-29", None),
        ("1900-02-29", None),
        ("2000-02-29", "2000-02-29T00:00:00Z"),
        ("2001-13-01", None),
        ("2001-00-01", None),
        ("2001-01-32", None),
        ("2001-12-14T24:00:00Z", None),
        ("2001-12-14T21:59:43", None),
        ("2001-12-14 21:59:43Z", None),
        ("20011-12-14", None),
        ("2001-12-14 ", None),
    ],
)
def test_times_are_those_of_go_yaml(text, expected):
    assert timestamps.parse(text) == (None if expected is None else Timestamp(expected))


@pytest.mark.parametrize("text", ["2001-12-14T21:59:43Z", "2001-12-14T21:59:43.1+01:30"])
def test_an_encrypted_time_is_rfc_3339(text):
    assert timestamps.parse_rfc3339(text) == Timestamp(text)


@pytest.mark.parametrize("text", ["2001-12-14", "2001-1-2T03:04:05Z", "2001-12-14 21:59:43", "x"])
def test_an_encrypted_time_is_nothing_else(text):
    assert timestamps.parse_rfc3339(text) is None


@given(st.from_regex(r"[0-9-]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{2}:[0-9]{2}:[0-9]{1,2}(Z|\u0663)?", fullmatch=True))
def test_a_time_as_sops_writes_it_is_read_as_by_the_pattern(text):
    found = timestamps.parse(text), timestamps.parse_rfc3339(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(timestamps, "_to_the_second", lambda _: None)
        assert (timestamps.parse(text), timestamps.parse_rfc3339(text)) == found


@given(st.text("0123456789.+-eE_ x", max_size=8))
def test_a_float_is_what_yaml_says(text):
    decimal = re.fullmatch(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", text)
    assert (numbers.parse_float(text) is not None) == (decimal is not None and math.isfinite(float(text)))
