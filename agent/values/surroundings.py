"""What stands around a value that is put into a text: how it is written there, and whether the text still says the same around it.

Texts here are plaintext. `agent.values.derive` alone calls this, and makes a Secret of the result.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Literal, TypeAlias, cast

from agent.values.text import percent_encoded

if TYPE_CHECKING:
    from collections.abc import Sequence

Encoding: TypeAlias = Literal["", "none", "url", "json", "yaml"]
"""How a value is written into a text; empty where none is given, and `none` for as it is."""

Part: TypeAlias = "str | tuple[str, Encoding]"
"""Text of the template, or a value to put there."""

_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*+("|\Z)', re.DOTALL)
_YAML_QUOTED = re.compile(r"""(?:^|(?<=[\s,\[{:-]))(?:"(?:[^"\\]|\\.)*+("|\Z)|'(?:[^']|'')*+('|\Z))""")
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s\"'<>`]*")
_MARK, _LONE = "\ue000", "\ue001"
"""Stand in a template for a value: within text, and alone where JSON has a value. What holds them already is not looked at."""
_MARKED = re.compile(f"[{_MARK}{_LONE}]([0-9]+);")
_NOT_UNRESERVED = re.compile(r"[^A-Za-z0-9._~-]+")
"""What RFC 3986 has no unreserved characters for."""
_NO_ESCAPE = r"%(?![0-9A-Fa-f]{2})"
_SPOILS_USER = re.compile(rf"[\s/?#@\[\]\"'<>`\\]|{_NO_ESCAPE}")
_SPOILS_QUERY = re.compile(rf"[\s&#+\"'<>`\\]|{_NO_ESCAPE}")
_SPOILS_HOST = re.compile(rf"[\s?#@\"'<>`\\]|{_NO_ESCAPE}")
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
    for number, part in enumerate(parts):
        if isinstance(part, str):
            text.append(part)
            template.append(part)
            continue
        value, encoding = part
        before = "".join(template)
        inside = _ends_in_quotes(_QUOTED, before) if encoding != "yaml" else False
        text.append(value if encoding in {"", "none"} else _encoded(value, encoding, before))
        template.append(f"{_MARK}{number};" if inside or encoding in {"url", "yaml"} else f"{_LONE}{number};")
    result, form = "".join(text), "".join(template)
    if any(isinstance(part, tuple) and part[1] == "" for part in parts):
        _check_url(form, parts)
        if not any(isinstance(part, tuple) and part[1] == "none" for part in parts):
            _check_json(form, result, parts)
    return result


def _ends_in_quotes(pattern: re.Pattern[str], text: str) -> bool:
    return any(not any(found.groups()) for found in pattern.finditer(text))


def _encoded(value: str, encoding: Encoding, before: str) -> str:
    if encoding == "url":
        return _NOT_UNRESERVED.sub(lambda found: percent_encoded(found.group()), value)
    literal = json.dumps(value, ensure_ascii=False)
    if encoding == "json":
        return literal[1:-1] if _ends_in_quotes(_QUOTED, before) else literal
    line = before.rpartition("\n")[2]
    opened = next((found for found in _YAML_QUOTED.finditer(line) if not any(found.groups())), None)
    if opened is None:
        return literal
    if opened.group()[0] == '"':
        return literal[1:-1]
    if "\n" in value or "\r" in value:
        raise BrokenError("yaml")
    return value.replace("'", "''")


def _check_url(form: str, parts: Sequence[Part]) -> None:
    """Whether each value without an encoding leaves the URL around it what it is."""
    for found in _URL.finditer(form):
        url = found.group()
        start = url.index("://") + 3
        ends = [at for mark in "/?#" if (at := url.find(mark, start)) >= 0]
        authority = min(ends, default=len(url))
        user = url.rfind("@", start, authority)
        query = url.find("?", authority)
        for marked in _MARKED.finditer(url, start):
            part = parts[int(marked[1])] if int(marked[1]) < len(parts) else ""
            if not isinstance(part, tuple) or part[1]:
                continue
            at = marked.start()
            spoils = _SPOILS_PATH
            if at < user:
                spoils = _SPOILS_USER
            elif at < authority:
                spoils = _SPOILS_HOST
            elif 0 <= query < at:
                spoils = _SPOILS_QUERY
            if spoils.search(part[0]):
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
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


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
