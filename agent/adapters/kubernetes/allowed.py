"""What a field takes, out of the words of an API server that refused a value: lists, ranges, lengths, types and patterns of a schema.

A refusal quotes the value first and ends with what is allowed, in forms of apimachinery (`field.Error`, `validation`) and kube-openapi
(`validation/errors`). The last words alone are taken, and only as one of these forms: a text of the object stands before them, with its
quotes escaped. What a rule in CEL says may be computed from the object, and looks as what validation of built-in kinds says: of other
kinds only the words of the schema count.
"""

from __future__ import annotations

import re
from typing import Final

_LONGEST: Final = 4096
"""Characters of a message that is looked at."""
_NUMBER: Final = r"-?[0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?"
_ITEM: Final = r'"[^"\\\x00-\x1f]{0,64}"'
_BY_REASON: Final = {
    "FieldValueNotSupported": (
        (rf": supported values: (?P<items>{_ITEM}(?:, {_ITEM}){{0,63}})", "{items}"),
    ),
    "FieldValueTooLong": (
        (r"Too long: may not be (?:more|longer) than (?P<count>[0-9]+)(?: bytes| characters)?", "at most {count} characters"),
    ),
    "FieldValueTooMany": (
        (r"Too many: [0-9]+: must have at most (?P<count>[0-9]+) items?", "at most {count} items"),
    ),
}  # fmt: skip
_OF_A_SCHEMA: Final = (
    (rf" in body should be greater than or equal to (?P<least>{_NUMBER})", "{least} or more"),
    (rf" in body should be less than or equal to (?P<most>{_NUMBER})", "{most} or less"),
    (rf" in body should be greater than (?P<least>{_NUMBER})", "more than {least}"),
    (rf" in body should be less than (?P<most>{_NUMBER})", "less than {most}"),
    (rf" in body should be a multiple of (?P<factor>{_NUMBER})", "multiples of {factor}"),
    (r" in body should be (?P<bound>at least|at most) (?P<count>[0-9]+) chars long", "{bound} {count} characters"),
    (
        r" in body should have (?P<bound>at least|at most) (?P<count>[0-9]+) (?:items|properties)",
        "{bound} {count} items",
    ),
    (r" in body should match '(?P<pattern>[^\x00-\x1f]{1,256})'", "text that matches {pattern}"),
)
_OF_BUILT_IN_KINDS: Final = (
    (rf": must be between (?P<least>{_NUMBER}) and (?P<most>{_NUMBER}), inclusive", "{least} to {most}"),
    (rf": must be greater than or equal to (?P<least>{_NUMBER})", "{least} or more"),
    (rf": must be less than or equal to (?P<most>{_NUMBER})", "{most} or less"),
    (rf": must be greater than (?P<least>{_NUMBER})", "more than {least}"),
    (rf": must be less than (?P<most>{_NUMBER})", "less than {most}"),
    (r": must be no (?:more|longer) than (?P<count>[0-9]+) (?:bytes|characters)", "at most {count} characters"),
    (r" regex used for validation is '(?P<pattern>[^'\x00-\x1f]{1,256})'\)", "text that matches {pattern}"),
)
_TYPED: Final = re.compile(
    r'Invalid value: "(?:[^"\\]|\\.)*": \S{1,256} in body must be of type (?P<type>[A-Za-z0-9-]{1,32})(?:: "|$)'
)


def of(reason: str, message: str, *, built_in: bool) -> str:
    """What the field takes; empty where that is not said in a known form. `reason` is that of a cause of a `v1/Status`."""
    if len(message) > _LONGEST:
        return ""
    if (typed := _TYPED.match(message)) is not None:
        return f"a value of type {typed['type']}"
    forms = (*_BY_REASON.get(reason, ()), *_OF_A_SCHEMA, *(_OF_BUILT_IN_KINDS if built_in else ()))
    for form, words in forms:
        # Greedy, so that the last place is met where the form begins.
        if (found := re.fullmatch(rf"(?s:.*){form}", message)) is not None:
            return words.format(**found.groupdict()).replace('"', "")
    return ""
