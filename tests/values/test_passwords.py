"""Hashes and passwords as Helm's functions make them."""

import bcrypt
import pytest

from agent.values import passwords
from agent.values.fingerprint import Fingerprinter
from agent.values.hashing import Salts
from agent.values.reveal import reveal
from agent.values.secret import Secret
from agent.values.sprig import UnusableError

KEY = Secret(b"k" * 32, "key")


@pytest.mark.parametrize("text", ["", "hunter2", "ü€", "a\0b", "x" * 72])
def test_a_hash_is_one_of_the_text_in_the_form_that_helm_has(text):
    made = passwords.hashed(text, bytes(range(16)))
    assert made.startswith("$2a$10$")
    assert bcrypt.checkpw(text.encode(), made.encode())
    assert passwords.fits(text, made)
    assert not passwords.fits(text[:-1] + "y", made)
    assert passwords.hashes(f"ann:{made} {made[:-1]}", 4) == [made]


def test_the_salt_is_the_one_that_is_given():
    assert passwords.hashed("x", b"\0" * 16) == bcrypt.hashpw(b"x", b"$2a$10$" + b"." * 22).decode()
    assert passwords.hashed("x", b"\xff" * 16)[7:29] == "9" * 21 + "u"


def test_a_text_that_is_too_long_has_no_hash():
    with pytest.raises(UnusableError):
        passwords.hashed("x" * 73, b"\0" * 16)


def test_a_hash_of_another_cost_is_none_of_ours():
    assert passwords.hashes(bcrypt.hashpw(b"x", bcrypt.gensalt(4, b"2a")).decode(), 4) == []


def test_salts_differ_by_installation_application_place_and_value():
    def made(key=KEY, application="1", place="a", value="x"):
        salts = Salts(Fingerprinter.derive(key, "applied"), application)
        return reveal(salts.hashed(Secret(value, "l"), place))

    others = [made(), made(Secret(b"K" * 32, "key")), made(application="2"), made(place="b"), made(value="y")]
    assert len({each[7:29] for each in others}) == len(others)
    assert made() == made()


# made by `helm template` of Helm 4.3.2
HELMS = {
    "hunter2": "$2a$10$XHunijBz/TIDOBEJAXnZrOMS1eEkBqCY7W.D759LdC4rDzIWZhJFa",
    "ü": "$2a$10$2obECH3O30iRTgTeRiy8keKFYcJuu1OguKvUzEDXNYllDzjji8Cjy",
}
DERIVED: dict[tuple[str, str, str, str, str], str] = {
    ("hunter2", "1", "maximum", "ann", "example.com"): "w2+f@pWhsb7N50fbEN(R",
    ("hunter2", "1", "long", "ann", "example.com"): "JisyXeffFowi1,",
    ("hunter2", "1", "medium", "ann", "example.com"): "Jis0!Xef",
    ("hunter2", "1", "short", "ann", "example.com"): "Jis0",
    ("hunter2", "1", "basic", "ann", "example.com"): "wAg07ZHU",
    ("hunter2", "1", "pin", "ann", "example.com"): "8250",
    ("", "1", "maximum", "ann", "example.com"): "bNP*3c5ZR^mjNa3Ng#9*",
    ("", "1", "long", "ann", "example.com"): "ZemtRotuLekc6=",
    ("", "1", "medium", "ann", "example.com"): "ZemTaw7[",
    ("", "1", "short", "ann", "example.com"): "Zem1",
    ("", "1", "basic", "ann", "example.com"): "bXn15maL",
    ("", "1", "pin", "ann", "example.com"): "3631",
    ("ü€", "1", "maximum", "ann", "example.com"): "xJUn6NJe!Dyz3vHxy&1#",
    ("ü€", "1", "long", "ann", "example.com"): "WanoVert6*Hacd",
    ("ü€", "1", "medium", "ann", "example.com"): "WanLoh0[",
    ("ü€", "1", "short", "ann", "example.com"): "Wan3",
    ("ü€", "1", "basic", "ann", "example.com"): "xU03eXU8",
    ("ü€", "1", "pin", "ann", "example.com"): "1003",
    ("hunter2", "4294967295", "long", "ü", ""): "Sagh9^GageWapa",
}


@pytest.mark.parametrize(("text", "known"), HELMS.items())
def test_a_hash_of_helm_s_is_one_of_ours_with_its_salt(text, known):
    assert passwords.fits(text, known)
    assert passwords.hashes(known, 1) == [known]


@pytest.mark.parametrize(("given", "expected"), DERIVED.items())
def test_a_derived_password_is_what_helm_derives(given, expected):
    password, *parameters = given
    assert passwords.derived(password, parameters) == expected


@pytest.mark.parametrize(
    "parameters", [("x", "long", "u", "s"), ("1", "odd", "u", "s"), (str(2**32), "long", "u", "s")]
)
def test_other_parameters_give_none(parameters):
    with pytest.raises(UnusableError):
        passwords.derived("x", parameters)
