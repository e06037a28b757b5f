"""What stands around a value that is put into a text: how it is written there, and whether the text still says the same around it.

Texts here are plaintext. `agent.values.derive` alone calls this, and makes a Secret of the result.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Literal, TypeAlias, cast

from agent.values.dataclass import dataclass
from agent.values.text import percent_encoded

if TYPE_CHECKING:
    from collections.abc import Sequence

Encoding: TypeAlias = Literal["", "none", "url", "json", "yaml"]
"""How a value is written into a text; empty where none is given, and `none` for as it is."""

Part: TypeAlias = "str | tuple[str, Encoding]"
"""Text of the template, or a value to put there."""

_WITHIN = {'"': re.compile(r'(?:[^"\\]|\\.)*+', re.DOTALL), "'": re.compile("(?:[^']|'')*+")}
_JSON_QUOTE, _YAML_QUOTE = re.compile('"'), re.compile(r"""(?<=[\s,\[{:-])["']""")
_URL = re.compile(r"""(?<=[A-Za-z0-9+.;-])://[^\s"'<>`,]*(?:,(?![A-Za-z][A-Za-z0-9+.-]{0,30}://)[^\s"'<>`,]*)*""")
"""Without the scheme, which a search would read once for each of its letters; it may be a value, whose mark ends so. Not two of a list."""
_MARK, _LONE = "\ue000", "\ue001"
"""Stand in a template for a value: within text, and alone where JSON has a value. What holds them already is not looked at."""
_MARKED = re.compile(f"[{_MARK}{_LONE}]([0-9]+);")
_NOT_IN_YAML = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
"""What JSON has in a text as it is, and YAML has not, or reads as a line break."""
_NOT_IN_QUOTES = re.compile(rf"[\0-\x08\n-\x1f]|{_NOT_IN_YAML.pattern}")
_NOT_UNRESERVED = re.compile(r"[^A-Za-z0-9._~-]+")
"""What RFC 3986 has no unreserved characters for."""
_NO_ESCAPE = r"%(?![0-9A-Fa-f]{2})"
_SPOILS_USER = re.compile(rf"[^A-Za-z0-9._~!$&()*+,;=:%-]|{_NO_ESCAPE}")
"""What RFC 3986 has no place for there, and Go refuses; and a quotation mark."""
_SPOILS_QUERY = re.compile(rf"[\s&;#+\"'<>`\\]|{_NO_ESCAPE}")
_SPOILS_HOST = re.compile(rf"[\s?#@\"'<>`\\]|{_NO_ESCAPE}")
_SPOILS_FIRST_OF_HOST = re.compile(rf"/|{_SPOILS_HOST.pattern}")
_SPOILS_PATH = re.compile(rf"[\s?#\"'<>`\\]|{_NO_ESCAPE}")


class BrokenError(Exception):
    """The text around a value would be another one: `json`, `url`, or `yaml` where an encoding has no form."""

    def __init__(self, what: Literal["json", "url", "yaml"]) -> None:
        super().__init__()
        self.what: Literal["json", "url", "yaml"] = what


def alone(value: str, encoding: Encoding) -> str:
    """A value that is the whole text."""
    return _encoded(value, encoding, "") if encoding not in {"", "none"} else value


def joined(parts: Sequence[Part]) -> str:
    """The text with the values in it. Raises BrokenError."""
    text: list[str] = []
    template: list[str] = []
    json_quotes, yaml_quotes = _Quotes(_JSON_QUOTE), _Quotes(_YAML_QUOTE, by_line=True)
    for number, part in enumerate(parts):
        if isinstance(part, str):
            text.append(part)
            template.append(part)
        else:
            value, encoding = part
            quotes = yaml_quotes if encoding == "yaml" else json_quotes
            text.append(value if encoding in {"", "none"} else _encoded(value, encoding, quotes.mark))
            inside = encoding in {"url", "yaml"} or bool(json_quotes.mark)
            template.append(f"{_MARK if inside else _LONE}{number};")
        json_quotes.read(template[-1])
        yaml_quotes.read(template[-1])
    result, form = "".join(text), "".join(template)
    if any(isinstance(part, tuple) and part[1] == "" for part in parts):
        _check_url(form, parts)
        if not any(isinstance(part, tuple) and part[1] == "none" for part in parts):
            _check_json(form, result, parts)
    return result


@dataclass(slots=True)
class _Quotes:
    """Which quotation mark is open at the end of a text that comes in pieces, each of which is read once; empty for none.

    `opening` finds one that opens. `by_line`: each line begins with none.
    """

    opening: re.Pattern[str]
    by_line: bool = False
    mark: str = ""
    _last: str = "\n"

    def read(self, piece: str) -> None:
        text = self._last + piece
        if self.by_line and "\n" in piece:
            self.mark, text = "", text[text.rindex("\n") :]
        at = 1
        while at < len(text):
            if self.mark:
                found = _WITHIN[self.mark].match(text, at)
                at = found.end() if found else at
                if text[at : at + 1] == self.mark:
                    self.mark = ""
                at += 1
            elif (found := self.opening.search(text, at)) is not None:
                self.mark, at = found.group(), found.end()
            else:
                break
        self._last = text[-1]


def _encoded(value: str, encoding: Encoding, quote: str) -> str:
    """A value that stands within this quotation mark, or in none."""
    if encoding == "url":
        return _NOT_UNRESERVED.sub(lambda found: percent_encoded(found.group()), value)
    literal = json.dumps(value, ensure_ascii=False)
    if encoding == "json":
        return literal[1:-1] if quote else literal
    literal = _NOT_IN_YAML.sub(lambda found: f"\\u{ord(found.group()):04x}", literal)
    if not quote:
        return literal
    if quote == '"':
        return literal[1:-1]
    if _NOT_IN_QUOTES.search(value):
        raise BrokenError("yaml")
    return value.replace("'", "''")


def _check_url(form: str, parts: Sequence[Part]) -> None:
    """Whether each value without an encoding leaves the URL around it what it is."""
    for found in _URL.finditer(form):
        url = found.group()
        start = len("://")
        ends = [at for mark in "/?#" if (at := url.find(mark, start)) >= 0]
        authority = min(ends, default=len(url))
        user = url.rfind("@", start, authority)
        name = url.find(":", start, max(user, start))
        query = url.find("?", authority)
        in_fields = ";" in _MARKED.sub("", url)
        for marked in _MARKED.finditer(url, start):
            part = parts[int(marked[1])] if int(marked[1]) < len(parts) else ""
            if not isinstance(part, tuple) or part[1]:
                continue
            at = marked.start()
            spoils = _SPOILS_PATH
            if at < user:
                spoils = _SPOILS_USER
            elif at < authority:
                spoils = _SPOILS_HOST if marked.end() == authority else _SPOILS_FIRST_OF_HOST
            elif 0 <= query < at:
                spoils = _SPOILS_QUERY
            if spoils.search(part[0]) or (at < name and ":" in part[0]) or (in_fields and ";" in part[0]):
                raise BrokenError("url")


def _check_json(form: str, result: str, parts: Sequence[Part]) -> None:
    """Whether a text that is JSON with anything in the values' places says the same with these, and the values themselves."""
    if form.lstrip()[:1] not in {"{", "["}:
        return
    wanted = _loaded(re.sub(f"{_LONE}[0-9]+;", lambda found: f'"{found.group()}"', form))
    if wanted is None:
        return
    found = _loaded(result)
    values = {f"{_MARK}{number};": part[0] for number, part in enumerate(parts) if isinstance(part, tuple)}
    if found is None or not _agree(wanted, found, values):
        raise BrokenError("json")


def _loaded(text: str) -> object:
    try:
        return json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return None


def _no_constant(name: str) -> object:
    """NaN and Infinity, which are Python's alone."""
    raise ValueError(name)


def _agree(wanted: object, found: object, values: dict[str, str]) -> bool:
    if isinstance(wanted, str):
        if wanted.startswith(_LONE):
            return True
        return found == _MARKED.sub(lambda mark: values.get(mark.group(), ""), wanted)
    if isinstance(wanted, dict) and isinstance(found, dict):
        one, other = cast("dict[str, object]", wanted), cast("dict[str, object]", found)
        keys = [_MARKED.sub(lambda mark: values.get(mark.group(), ""), key) for key in one]
        return keys == list(other) and all(map(_agree, one.values(), other.values(), [values] * len(one)))
    if isinstance(wanted, list) and isinstance(found, list):
        ones, others = cast("list[object]", wanted), cast("list[object]", found)
        return len(ones) == len(others) and all(map(_agree, ones, others, [values] * len(ones)))
    return wanted == found
