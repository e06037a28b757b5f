"""References to a store's values: `vault://<store>/<mount>/<path>[?version=N&decode=base64&encode=url&optional=true]#<key>`.

`%20` is a space, and so any other byte of path and key; a `%` that no two hex digits follow is itself.
A reference is a whole scalar, or stands inline as `${vault://…}`; `$${vault://…}` is the text `${vault://…}`. References are found in
clear strings and inside opened SOPS values, where only the reference itself comes into the clear: what is malformed there is named by
its field and never quoted. What a store answers is never searched again. Forms of other tools are recognised and refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from agent.manifests.builtin import CLEAR_FIELDS
from agent.sops.kubernetes.clear import FOREIGN
from agent.values import derive
from agent.values.errors import HeldError, LimitError, ReferenceSyntaxError, SecretValueError, SinkError
from agent.values.secret import Secret
from agent.values.text import is_encoded, percent_decoded, percent_encoded
from agent.values.tree import format_path, get, walk

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.values.errors import AgentError
    from agent.values.surroundings import Encoding
    from agent.values.tree import Leaf, Path, Tree

# Every pattern here is linear in a text of any length: a repeated class never runs over the beginning of another match.
_STORE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
_BODY = r"vault://[^\s{}#\"`<>]+#[^\s{}\"`<>]+"

PATTERN = re.compile(
    rf"\A{_BODY}\Z"
    rf"|\$?\$\{{{_BODY}\}}"
    r"|\A(?:vault|lease)://|\$\{(?:vault|lease)://"
    r"|<path:(?=[^<>\s#]+#[^<>]+>)|\A<path:(?=[^>]+>\Z)|\A>>vault:|\Avault:(?=[^/\s#][^\s#]*#\S+\Z)"
    r"|\$\{(?:>>)?vault:(?=[^/\s#{}][^\s#{}]*#)|\Aref\+(?:vault|openbao)://"
)
"""What may come into the clear of an opened value: a well-formed reference, or no more than the first characters of a malformed one."""

_PATH_ESCAPED = re.compile(r"[\s{}#?\"`<>]|%(?=[0-9A-Fa-f]{2})")
_KEY_ESCAPED = re.compile(r"[\s{}\"`<>]|%(?=[0-9A-Fa-f]{2})")
_PERCENT = re.compile(r"(?:%[0-9A-Fa-f]{2})+")
_ENCODINGS: tuple[Encoding, ...] = ("none", "url", "json", "yaml")
_WELL_FORMED = re.compile(rf"{_BODY}|\$\{{{_BODY}\}}")
_CLEAR = re.compile(r"\A(?:vault|lease)://.*\Z|\$?\$\{(?:vault|lease)://[^}]*\}?", re.DOTALL)
_AVP_ANNOTATION = "avp.kubernetes.io/path"
_AVP_PLACEHOLDER = re.compile(r"<[A-Za-z0-9_.-]+(?:\s*\|[^<>]*)?>")

LONGEST = 512
"""Characters of a reference: what is longer is a mistake, or meant for the server that would be asked."""
_SHOWN = 120
"""Characters of a malformed reference that an error shows."""


@dataclass(frozen=True, slots=True)
class Reference:
    """One value of a store. `path` starts with the mount. `key` is a literal key or, with a leading slash, an RFC 6901 pointer.

    `version` None is the latest. `decode`: the stored text is base64 of the value. `encode`: how the value is written into the text
    around it. `optional`: where there is none, the field is left out.
    """

    store: str
    path: str
    key: str
    version: int | None = None
    decode: bool = False
    optional: bool = False
    encode: Encoding = ""

    def __str__(self) -> str:
        """The canonical text: what `parse` reads back."""
        options = [
            text
            for text, given in (
                (f"version={self.version}", self.version is not None),
                ("decode=base64", self.decode),
                (f"encode={self.encode}", self.encode != ""),
                ("optional=true", self.optional),
            )
            if given
        ]
        query = "?" + "&".join(options) if options else ""
        path, key = _PATH_ESCAPED.sub(_escape, self.path), _KEY_ESCAPED.sub(_escape, self.key)
        return f"vault://{self.store}/{path}{query}#{key}"


def _escape(found: re.Match[str]) -> str:
    return percent_encoded(found.group())


def parse(text: str) -> Reference:
    """The reference that `text` is, without `${}`. Raises ReferenceSyntaxError."""
    if len(text) > LONGEST:
        raise ReferenceSyntaxError(
            "the reference is too long",
            hint="the limit is 512 characters; write each of several references in its own ${}",
            characters=len(text),
        )
    if text.startswith("lease://"):
        raise ReferenceSyntaxError(
            "leases of dynamic secrets are not supported yet", hint="use a vault:// reference to a KV secret"
        )
    scheme, found, rest = text.partition("://")
    if scheme != "vault" or not found:
        raise ReferenceSyntaxError("reference does not start with vault://")
    if re.search(r"[\s{}\"`<>]", rest):
        raise ReferenceSyntaxError(
            "reference has a space, quote, brace or angle bracket",
            hint="write %20 for a space; references do not nest: write one per ${}",
        )
    address, found, key = rest.partition("#")
    if not found or not key:
        raise ReferenceSyntaxError(
            "reference lacks #key", hint="name the key of the secret: vault://store/mount/path#key"
        )
    place, _, query = address.partition("?")
    store, _, path = place.partition("/")
    if not _STORE.fullmatch(store):
        raise ReferenceSyntaxError(
            "reference lacks a store's name",
            hint="vault://<store>/<mount>/<path>#<key>; the operator configures the stores",
        )
    path, key = _path(path), _unescaped(key)
    if not (path.isprintable() and key.isprintable()):
        raise ReferenceSyntaxError("reference has an unprintable character, or bytes that are not UTF-8")
    return _with_options(Reference(store, path, key), query)


def _path(written: str) -> str:
    segments = [_unescaped(segment) for segment in written.split("/")]
    path = "/".join(segments)
    if len(segments) < 2:
        raise ReferenceSyntaxError(
            "reference lacks a path below the mount", hint="vault://<store>/<mount>/<path>#<key>"
        )
    if any(segment in {"", ".", ".."} or "/" in segment for segment in segments) or "\\" in path:
        raise ReferenceSyntaxError(
            "path of a reference has an empty or dot segment, or a slash within one", hint="write it plainly"
        )
    if is_encoded(path):
        raise ReferenceSyntaxError(
            "path of a reference is percent-encoded twice",
            hint="write %25 for a percent sign, where no hex digits follow",
        )
    return path


def _unescaped(text: str) -> str:
    return _PERCENT.sub(lambda found: percent_decoded(found.group()), text)


def _with_options(reference: Reference, query: str) -> Reference:
    version: int | None = None
    encode: Encoding = ""
    decode = optional = False
    pairs = [option.partition("=") for option in query.split("&")] if query else []
    if len({name for name, _, _ in pairs}) != len(pairs):
        raise ReferenceSyntaxError("reference sets an option twice")
    for name, _, value in pairs:
        if name == "version" and re.fullmatch(r"[1-9][0-9]{0,8}", value):
            version = int(value)
        elif name == "decode" and value == "base64":
            decode = True
        elif name == "encode" and value in _ENCODINGS:
            encode = value
        elif name == "optional" and value in {"true", "false"}:
            optional = value == "true"
        else:
            raise ReferenceSyntaxError(
                "reference has an unknown option",
                hint="version=<number>, decode=base64, encode=url|json|yaml, optional=true",
            )
    return replace(reference, version=version, decode=decode, optional=optional, encode=encode)


def find(tree: Tree) -> dict[Reference, list[Path]]:
    """Every reference of an object with the paths where it stands, in document order.

    Raises ReferenceSyntaxError with the field, and SinkError for one in `apiVersion`, `kind` or `metadata`.
    """
    found: dict[Reference, list[Path]] = {}
    of_plugin = get(tree, "metadata", "annotations", _AVP_ANNOTATION) is not None
    _check_keys(tree)
    for path, leaf in walk(tree):
        if of_plugin and isinstance(leaf, str) and _AVP_PLACEHOLDER.search(leaf):
            raise ReferenceSyntaxError(
                "this is an argocd-vault-plugin placeholder",
                hint="write vault://<store>/<mount>/<path>#<key>, or remove the annotation avp.kubernetes.io/path",
                field=format_path(path),
            )
        for part in _parts(leaf, path):
            if isinstance(part, Reference):
                if path and path[0] in CLEAR_FIELDS:
                    raise SinkError(
                        "references are not allowed in apiVersion, kind or metadata",
                        hint="these fields are not protected; use data of a Secret",
                        field=format_path(path),
                    )
                paths = found.setdefault(part, [])
                if not paths or paths[-1] != path:
                    paths.append(path)
    return found


def has_reference(leaf: Leaf) -> bool:
    """Whether a clear string or opened value holds a reference or an escaped one: then it is a template, not a value."""
    if isinstance(leaf, str):
        return _CLEAR.search(leaf) is not None
    if isinstance(leaf, Secret):
        return any(isinstance(part, str) for part in derive.split(leaf, PATTERN))
    return False


def tokens(text: str) -> list[str]:
    """What a clear text has of references, escaped and malformed ones too, as they are written."""
    return _CLEAR.findall(text)


class _Gone:
    """An optional value that the store does not have."""


_GONE = _Gone()


def substitute(tree: Tree, values: Mapping[Reference, Secret]) -> Tree:
    """`tree` with every reference replaced by its Secret.

    A whole scalar takes the value's type; inline parts become one string, each written as its reference says. An optional value that is
    missing takes its field (or list item) away, inline it is empty. Where an inline value breaks the URL or the JSON around it, that is
    an error. Raises HeldError where a value is missing, ReferenceSyntaxError and SecretValueError.
    """
    result = _substitute(tree, values, ())
    return None if isinstance(result, _Gone) else result


def _substitute(tree: Tree, values: Mapping[Reference, Secret], at: Path) -> Tree | _Gone:
    if isinstance(tree, dict):
        changed = {key: _substitute(value, values, (*at, key)) for key, value in tree.items()}
        return {key: value for key, value in changed.items() if not isinstance(value, _Gone)}
    if isinstance(tree, list):
        items = [_substitute(item, values, (*at, index)) for index, item in enumerate(tree)]
        return [item for item in items if not isinstance(item, _Gone)]
    return _fill(tree, values, at)


def _fill(leaf: Leaf, values: Mapping[Reference, Secret], at: Path) -> Leaf | _Gone:
    parts = _parts(leaf, at)
    if len(parts) == 1 and isinstance(parts[0], Reference):
        secret = _value(parts[0], values, at)
        return _GONE if secret is None else _whole(secret, parts[0], at)
    if not parts or (len(parts) == 1 and isinstance(parts[0], Secret)):
        return leaf
    filled: list[str | Secret | tuple[Secret, Encoding]] = []
    for part in parts:
        if not isinstance(part, Reference):
            filled.append(part)
        elif (value := _value(part, values, at)) is not None:
            filled.append((value, part.encode))
    if all(isinstance(part, str) for part in filled):
        text = "".join(part for part in filled if isinstance(part, str))
        return Secret(text, *leaf.labels) if isinstance(leaf, Secret) else text
    try:
        return derive.embed(filled)
    except (SecretValueError, LimitError) as error:
        raise error.with_facts(field=format_path(at)) from None


def _whole(secret: Secret, reference: Reference, at: Path) -> Secret:
    try:
        return derive.encode(secret, reference.encode)
    except SecretValueError as error:
        raise error.with_facts(field=format_path(at)) from None


def _value(reference: Reference, values: Mapping[Reference, Secret], at: Path) -> Secret | None:
    secret = values.get(reference)
    if secret is None and not reference.optional:
        raise HeldError("reference is not resolved", field=format_path(at), reference=str(reference))
    return secret


def _check_keys(tree: Tree) -> None:
    waiting: list[tuple[Tree, Path]] = [(tree, ())]
    while waiting:
        node, at = waiting.pop()
        if isinstance(node, dict):
            if any("${vault://" in key or key.startswith("vault://") for key in node):
                raise ReferenceSyntaxError("a key cannot be a reference", field=format_path(at))
            waiting.extend((value, (*at, key)) for key, value in node.items() if isinstance(value, dict | list))
        elif isinstance(node, list):
            waiting.extend((item, (*at, index)) for index, item in enumerate(node) if isinstance(item, dict | list))


def _parts(leaf: Leaf, at: Path) -> list[str | Secret | Reference]:
    """A leaf cut into text, secret text and references; a leaf that is no text has none."""
    if isinstance(leaf, str):
        return parts_in_clear(leaf, at)
    if not isinstance(leaf, Secret):
        return []
    parts: list[str | Secret | Reference] = []
    for part in derive.split(leaf, PATTERN):
        if isinstance(part, Secret):
            parts.append(part)
        elif part.startswith("$${"):
            parts.append(part[1:])
        else:
            parts.append(_read(part, at, shown=False))
    return parts


def parts_in_clear(text: str, at: Path) -> list[str | Secret | Reference]:
    """A clear text cut at its references; an escaped one is the text that it means. Raises ReferenceSyntaxError with the field `at`."""
    foreign = FOREIGN.search(text)
    if foreign is not None:
        raise _refused(foreign).with_facts(field=format_path(at))
    parts: list[str | Secret | Reference] = []
    end = 0
    for match in _CLEAR.finditer(text):
        if match.start() > end:
            parts.append(text[end : match.start()])
        token = match.group()
        parts.append(token[1:] if token.startswith("$${") else _read(token, at, shown=True))
        end = match.end()
    if end < len(text):
        parts.append(text[end:])
    return parts


def _read(token: str, at: Path, *, shown: bool) -> Reference:
    field = format_path(at)
    if shown:
        try:
            return parse(_bare(token))
        except ReferenceSyntaxError as error:
            # An unclosed one runs on to the end of the text, whatever that is.
            is_whole = token.startswith("vault://") or token.endswith("}")
            shown_text = {"reference": token.partition("\n")[0][:_SHOWN]} if is_whole else {}
            raise error.with_facts(field=field, **shown_text) from None
    if not (_WELL_FORMED.fullmatch(token) or token.endswith("lease://")):
        raise ReferenceSyntaxError(
            "a decrypted value has a reference that is malformed or belongs to another tool",
            hint="write vault://<store>/<mount>/<path>#<key>, or ${vault://…} inside a text",
            field=field,
        )
    try:
        return parse(_bare(token))
    except ReferenceSyntaxError as error:
        raise error.with_facts(field=field) from None


def _bare(token: str) -> str:
    if not token.startswith("${"):
        return token
    if not token.endswith("}") and "lease://" not in token:
        raise ReferenceSyntaxError("reference is not closed", hint="write ${vault://<store>/<mount>/<path>#<key>}")
    return token.removeprefix("${").removesuffix("}")


def _refused(foreign: re.Match[str]) -> AgentError:
    """The rewrite leaves out what a foreign form says after its key: versions and modifiers are options here."""
    if (text := foreign["avp"]) is not None:
        path, _, key = text.removeprefix("<path:").removesuffix(">").partition("#")
        write = _rewritten(path.strip(), re.split(r"[#|]", key)[0].strip())
        return ReferenceSyntaxError(
            "this is a reference for argocd-vault-plugin", hint="rewrite it as shown", write=write
        )
    if (text := foreign["bank"] or foreign["bank_inline"]) is not None:
        path, _, key = text.removeprefix(">>").removeprefix("vault:").partition("#")
        write = _rewritten(path, key.partition("#")[0])
        return ReferenceSyntaxError("this is a reference for bank-vaults", hint="rewrite it as shown", write=write)
    path, _, key = foreign["vals"].partition("://")[2].partition("#")
    write = _rewritten(path, key.removeprefix("/"))
    return ReferenceSyntaxError("this is a reference for vals", hint="rewrite it as shown", write=write)


def _rewritten(path: str, key: str) -> str:
    mount, _, below = path.partition("/")
    return f"vault://<store>/{mount}/{below.removeprefix('data/')}#{key or '<key>'}"[:_SHOWN]
