"""Which style a scalar is written in: go-yaml v3's stringv (encode.go) and yaml_emitter_analyze_scalar (emitterc.go)."""

from __future__ import annotations

import re
from binascii import b2a_base64
from functools import lru_cache

from agent.values.dataclass import dataclass
from agent.yaml import numbers, scalars
from agent.yaml.nodes import Scalar, Timestamp
from agent.yaml.scalars import Dialect

# What words that begin as no indicator does have not, which are nearly every text.
_UNSAFE = re.compile(r"""[^ -~]|:(?![!-~])| (?![ !"$-~])""")
_BASE60 = r"[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?"
_OF_BASE60 = "0123456789_:.+-"
_BREAK = "\n\r\x85\u2028\u2029"
_UNPRINTABLE_ASCII = "[^\t\n -~]"
# What is not allowed, which are few: to compile the ranges of what is allowed takes 30 ms.
_UNPRINTABLE = "[\0-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufeff\ufffe-\U0010ffff]"
_INVALID = "[\ud800-\udfff]"
_UNREADABLE = "[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]"
_FIRST = frozenset("#,[]{}&*!|>'\"%@`")
_ESCAPES = {
    "\0": "0", "\a": "a", "\b": "b", "\t": "t", "\n": "n", "\v": "v", "\f": "f", "\r": "r", "\x1b": "e", '"': '"',
    "\\": "\\", "\x85": "N", "\xa0": "_", "\u2028": "L", "\u2029": "P",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Form:
    """A scalar ready to be written: its text, its tag (`!!binary`, `!!merge`) and the style asked for (`plain`, `"` or `|`)."""

    text: str
    style: str = "plain"
    tag: str = ""


@dataclass(frozen=True, slots=True)
class Analysis:
    """Which styles a text allows."""

    multiline: bool
    plain: bool
    single: bool
    block: bool


def form(value: Scalar) -> Form:
    """What go-yaml v3 makes of a value."""
    if isinstance(value, str):
        return _text_form(value)
    if value is None:
        return Form("null")
    if isinstance(value, bool):
        return Form("true" if value else "false")
    if isinstance(value, Timestamp):
        return Form(value.text)
    if isinstance(value, float):
        # sops writes `-0`, which is read back as an integer without a sign: the MAC would not fit.
        return Form("-0.0" if repr(value) == "-0.0" else numbers.float_text(value))
    return Form(str(value))


def _text_form(text: str) -> Form:
    if not text.isascii() and re.search(_INVALID, text):
        packed = b2a_base64(text.encode("utf-8", "surrogateescape"), newline=False).decode()
        if len(packed) < 70:
            return Form(packed, tag="!!binary")
        return Form("".join(f"{packed[at : at + 70]}\n" for at in range(0, len(packed), 70)), "|", "!!binary")
    if text == "<<":
        return Form(text, tag="!!merge")
    if "\n" in text:
        # Behind a tab a block scalar cannot show its indentation; sops writes null there, and the value is lost.
        return Form(text, '"' if text[0] == "\t" else "|")
    return Form(text, "plain" if is_text(text, Dialect.V3) else '"')


def is_text(text: str, dialect: Dialect) -> bool:
    """Whether an unquoted scalar would be read as this text, by the dialect and by readers of YAML 1.1."""
    # Few texts are of such characters alone, and the pattern takes its time to compile.
    if text in scalars.OLD_BOOLS or (not text.strip(_OF_BASE60) and re.fullmatch(_BASE60, text)):
        return False
    return text != "" and isinstance(scalars.plain(text, dialect), str)


@lru_cache(maxsize=4096)
def analyze(text: str) -> Analysis:
    """yaml_emitter_analyze_scalar, for block context."""
    first = text[:1]
    if (first.isalnum() or first in {"_", "/"}) and _UNSAFE.search(text) is None:
        return Analysis(multiline=False, plain=True, single=True, block=True)
    if not text:
        return Analysis(multiline=False, plain=True, single=True, block=False)
    indicators = text.startswith(("---", "...")) or _has_indicators(text)
    special = _is_special(text)
    breaks = any(mark in text for mark in _BREAK)
    leading = text[0] == " " or text[0] in _BREAK
    trailing = text[-1] == " " or text[-1] in _BREAK
    break_space = any(f"{mark} " in text for mark in _BREAK)
    space_break = any(f" {mark}" in text for mark in _BREAK)
    plain = not (leading or trailing or break_space or space_break or "\t" in text or special or breaks or indicators)
    single = not (break_space or space_break or "\t" in text or special)
    return Analysis(multiline=breaks, plain=plain, single=single, block=not (text[-1] == " " or space_break or special))


def _is_special(text: str) -> bool:
    # Compiled when it is needed: so many ranges take longer than most files.
    return bool(re.search(_UNPRINTABLE_ASCII if text.isascii() else _UNPRINTABLE, text))


def readable(text: str) -> bool:
    """Whether a file may hold it as it is: UTF-8, and no control character but tabs and line breaks (YAML 1.1, 5.1)."""
    return (text.isascii() and text.isprintable()) or not re.search(_UNREADABLE, text)


def _has_indicators(text: str) -> bool:
    first, second = text[0], text[1:2]
    blank = second in {"", " ", "\t"}
    if first in _FIRST or (first in "?:-" and blank):
        return True
    if re.search(r"[^\n]:(?:[ \t]|\Z)|\n:(?:[ \t]|\Z)", text):
        return True
    return bool(re.search(f"[ \t\0{_BREAK}]#", text))


def double_quoted(text: str) -> str:
    """Inside and with double quotes."""
    # go-yaml takes the whole text for a byte order mark where it begins with one, and escapes every character.
    every = text.startswith("\ufeff")
    return '"' + "".join(_escape(char, every=every) for char in text) + '"'


def _escape(char: str, *, every: bool) -> str:
    if not every and char not in '"\\' and char not in _BREAK and char != "\t" and not _is_special(char):
        return char
    if char in _ESCAPES:
        return "\\" + _ESCAPES[char]
    code = ord(char)
    return f"\\x{code:02X}" if code <= 0xFF else f"\\u{code:04X}" if code <= 0xFFFF else f"\\U{code:08X}"
