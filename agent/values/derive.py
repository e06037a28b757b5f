"""The closed set of operations from Secrets to Secrets. Every result carries all labels of what went in."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from functools import partial
from typing import TYPE_CHECKING, Final

from agent.values import godotenv, sprig, surroundings
from agent.values.errors import AgentError, LimitError, SecretValueError
from agent.values.reveal import reveal
from agent.values.secret import Plain, Secret
from agent.values.tree import Path, Tree, format_path, map_leaves, walk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from agent.values.surroundings import Encoding
    from agent.values.tree import Leaf

LONGEST: Final = 3 * 1024 * 1024
"""Characters of a text that is put together, and of all secrets of an object: an API server takes no larger request."""

_INDEX = re.compile(r"0|[1-9][0-9]{0,8}")
_JSON_ESCAPED = re.compile("[<>&\u2028\u2029]")
_BASE64_LINE: Final = 70
_NO_WORDS: Final = str.maketrans("013ae", "ghkmt")
_JSON_LINES = re.compile("[\u2028\u2029]")
_GO_ESCAPES = {
    **{char: f"\\{name}" for char, name in zip("\a\b\f\n\r\t\v", "abfnrtv", strict=True)},
    "\\": "\\\\",
    '"': '\\"',
}


def text(secret: Secret) -> Secret:
    """The scalar as the text that a string field takes: `true`, `12`, `1.5`; bytes must be UTF-8."""
    return Secret(_text(secret), *secret.labels)


def relabel(secret: Secret, *labels: str) -> Secret:
    """The same scalar under other labels."""
    return Secret(reveal(secret), *labels)


def concat(parts: Sequence[str | Secret]) -> Secret:
    """One string of clear and secret parts, in order. At least one part is a Secret. Raises LimitError for one longer than LONGEST."""
    labels: dict[str, None] = {}
    texts: list[str] = []
    left = LONGEST
    for part in parts:
        if isinstance(part, Secret):
            labels.update(dict.fromkeys(part.labels))
        texts.append(part if isinstance(part, str) else _text(part))
        left = _room(left, texts[-1])
    return Secret("".join(texts), *labels)


def _room(left: int, text: str) -> int:
    """What is left for further texts."""
    if len(text) > left:
        raise LimitError(
            "the text with its values filled in is larger than the API server accepts",
            hint="use fewer or shorter values",
            limit=LONGEST,
        )
    return left - len(text)


def larger_than(most: int, plain: Iterable[str | Secret], encoded: Iterable[str | Secret]) -> bool:
    """Whether texts, and what base64 texts stand for, are more than so many bytes together; this reveals nothing else about them."""

    def size(value: str | Secret) -> int:
        text = reveal(value) if isinstance(value, Secret) else value
        return len(text if isinstance(text, bytes) else str(text).encode("utf-8", "surrogateescape"))

    return sum(map(size, plain)) + sum(size(value) * 3 // 4 - 2 for value in encoded) > most


def encode(secret: Secret, encoding: Encoding) -> Secret:
    """A value that is a whole text, percent-encoded or as a text of JSON; bytes must be UTF-8."""
    return secret if encoding in {"", "none"} else Secret(surroundings.alone(_text(secret), encoding), *secret.labels)


def embed(parts: Sequence[str | Secret | tuple[Secret, Encoding]]) -> Secret:
    """As `concat`, where pairs are values of a store, each with how it is written there.

    Raises SecretValueError where a value without an encoding breaks the URL or the JSON around it, and LimitError as `concat`.
    """
    labels: dict[str, None] = {}
    texts: list[surroundings.Part] = []
    left = LONGEST
    for part in parts:
        secret = part[0] if isinstance(part, tuple) else part
        if isinstance(secret, Secret):
            labels.update(dict.fromkeys(secret.labels))
        text = _text(secret) if isinstance(secret, Secret) else secret
        left = _room(left, text)
        texts.append((text, part[1]) if isinstance(part, tuple) else text)
    try:
        whole = surroundings.joined(texts)
    except surroundings.BrokenError as error:
        what = error.what
    else:
        _room(LONGEST, whole)  # what is encoded has become longer
        return Secret(whole, *labels)
    match what:
        case "url":
            raise SecretValueError(
                "a value breaks the URL around it",
                hint="add ?encode=url to the reference, or encode=none to insert the value as it is",
            )
        case "json":
            raise SecretValueError(
                "a value breaks the JSON around it",
                hint="add ?encode=json to the reference, or encode=none to leave it",
            )
        case "yaml":
            raise SecretValueError(
                "a value with line breaks or control characters cannot be written in single quotes",
                hint="use double quotes, or none",
            )


def split(secret: Secret, pattern: re.Pattern[str]) -> list[Secret | str]:
    """A string cut at the matches of `pattern`: what matched comes back in the clear, what stands between stays secret.

    `pattern` must match only what may be shown, such as a reference. A scalar that is not a string comes back whole.
    """
    value = reveal(secret)
    if not isinstance(value, str):
        return [secret]
    parts: list[Secret | str] = []
    end = 0
    for match in pattern.finditer(value):
        if match.start() > end:
            parts.append(Secret(value[end : match.start()], *secret.labels))
        parts.append(match.group())
        end = match.end()
    if end < len(value) or not parts:
        parts.append(Secret(value[end:], *secret.labels))
    return parts


def base64_encode(secret: Secret) -> Secret:
    """Standard padded base64 of the scalar's text or bytes, as a string: what `v1/Secret` data holds."""
    value = reveal(secret)
    raw = value if isinstance(value, bytes) else _text(secret).encode("utf-8", "surrogateescape")
    return Secret(base64.b64encode(raw).decode(), *secret.labels)


def base64_lines(encoded: Secret) -> Secret:
    """Base64 as kustomize's generators write it: in lines of 70, where it is longer than one."""
    text = _text(encoded)
    if len(text) < _BASE64_LINE:
        return encoded
    lines = (text[at : at + _BASE64_LINE] for at in range(0, len(text), _BASE64_LINE))
    return Secret("".join(f"{line}\n" for line in lines), *encoded.labels)


def kustomize_hash(content: Tree) -> Secret:
    """The suffix that kustomize gives a name for this content: ten letters and digits. It stays secret, as a weak password is guessed from it.

    Source: kustomize, api/hasher/hasher.go: SHA-256 over JSON as Go writes it, in hexadecimal, without the digits that spell words.
    """
    written = json.dumps(
        map_leaves(content, lambda _, leaf: _text(leaf) if isinstance(leaf, Secret) else leaf),
        ensure_ascii=False,
        separators=(",", ":"),
        sort_keys=True,
    )
    escaped = _JSON_ESCAPED.sub(lambda found: f"\\u{ord(found.group()):04x}", written)
    digest = hashlib.sha256(escaped.encode("utf-8", "surrogateescape")).hexdigest()
    return Secret(digest[:10].translate(_NO_WORDS), "kustomize hash")


def base64_decode(secret: Secret) -> Secret:
    """The inverse: a string where the bytes are UTF-8, else bytes. Raises SecretValueError for what is not base64."""
    text = "".join(_text(secret).split())
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raw = None
    if raw is None:
        raise SecretValueError("value is not base64", label=secret.label, hint="remove decode=base64 or store base64")
    decoded = _decoded(raw)
    return Secret(raw if decoded is None else decoded, *secret.labels)


def json_pointer(secret: Secret, pointer: str) -> Secret:
    """The value at an RFC 6901 pointer of a JSON text; a map or list comes back as JSON text. Raises SecretValueError."""
    at: object = _loaded(secret)
    for raw in pointer.split("/")[1:]:
        step = raw.replace("~1", "/").replace("~0", "~")
        if isinstance(at, dict) and step in at:
            at = at[step]  # pyright: ignore[reportUnknownVariableType]
        elif isinstance(at, list) and _INDEX.fullmatch(step) and int(step) < len(at):  # pyright: ignore[reportUnknownArgumentType]
            at = at[int(step)]  # pyright: ignore[reportUnknownVariableType]
        else:
            raise SecretValueError("there is no value at this pointer", label=secret.label, pointer=pointer)
    if at is None:
        raise SecretValueError("the value at this pointer is null", label=secret.label, pointer=pointer)
    if isinstance(at, str | int | float):
        return Secret(at, *secret.labels)
    return Secret(json.dumps(at, separators=(",", ":"), ensure_ascii=False), *secret.labels)


def parsed(secret: Secret, parse: Callable[[str], Tree]) -> Tree:
    """What a text means to `parse`, its leaves as Secrets. Keys, null and empty text stay in the clear.

    Raises SecretValueError, also for a leaf that is true or false, which is no secret and would be one here.
    """
    text, tree = _text(secret), None
    try:
        tree, is_read = parse(text), True
    except AgentError:  # its facts may be of the value; raised below instead, where nothing of it is attached
        is_read = False
    if not is_read:
        raise SecretValueError("a value is not the YAML that it should be", secret=secret.label)

    def leaf(path: Path, value: Leaf) -> Leaf:
        if value is None or value == "":
            return value
        if isinstance(value, bool):
            raise SecretValueError(
                "a value of a Secret is true or false, and templates decide by it what they make",
                hint="keep it in clear text: in a ConfigMap, in a file of values or in the Application",
                field=format_path(path),
                secret=secret.label,
            )
        return Secret(value, f"{secret.label}#{format_path(path)}") if isinstance(value, str | int | float) else value

    return map_leaves(tree, leaf)


def size(tree: Tree) -> int:
    """Characters or bytes of all Secrets of a tree that are text: for budgets, and too coarse to show any of them."""
    found = 0
    for _, leaf in walk(tree):
        value = reveal(leaf) if isinstance(leaf, Secret) else None
        found += len(value) if isinstance(value, str | bytes) else 0
    return found


def indent(secret: Secret, spaces: int) -> Secret:
    """Every line but the first moved right, for a multi-line value inside a text. Raises LimitError for one longer than LONGEST."""
    value = _text(secret)
    _room(LONGEST - value.count("\n") * spaces, value)
    return Secret(value.replace("\n", "\n" + " " * spaces), *secret.labels)


def clip(secret: Secret, breaks: str) -> Secret:
    """The text with `breaks` in the place of the line breaks at its end, as a block scalar of YAML has it."""
    return Secret(_text(secret).rstrip("\n") + breaks, *secret.labels)


def dotenv(secret: Secret) -> Secret:
    r"""A value of a SOPS `.env` file as a reader of the decrypted file has it.

    A line break is `\n` there, and a carriage return at the end belongs to the line.
    """
    return Secret(_text(secret).replace("\n", "\\n").removesuffix("\r"), *secret.labels)


def unquoted(secret: Secret) -> Secret:
    """What godotenv makes of a value of an `.env` file: see `values.godotenv`. Raises SecretValueError."""
    text = _text(secret)
    try:
        return Secret(godotenv.value(text), *secret.labels)
    except godotenv.UnreadableError as error:
        why = error.why
    raise SecretValueError(why, label=secret.label, hint=godotenv.HINT)


def json_string(secret: Secret, *, html: bool = True) -> Secret:
    """The text as Go's encoding/json writes it between quotes; without `html`, as it does where SetEscapeHTML is off."""
    written = json.dumps(_text(secret), ensure_ascii=False)[1:-1]
    escaped = _JSON_ESCAPED if html else _JSON_LINES
    return Secret(escaped.sub(lambda found: f"\\u{ord(found.group()):04x}", written), *secret.labels)


def go_quoted(secret: Secret) -> Secret:
    """The text as Go's strconv.Quote writes it between quotes, which YAML reads as well."""
    return Secret("".join(map(_go_escaped, _text(secret))), *secret.labels)


def applied(function: str, secret: Secret, parameters: Sequence[str | Secret]) -> Secret:
    """What a function of templates gives of the text: see `values.sprig`. Raises SecretValueError."""
    return _of_function(function, secret, parameters, partial(sprig.result, function))


def master_password(secret: Secret, parameters: Sequence[str | Secret]) -> Secret:
    """What `derivePassword` gives: see `values.passwords`. It takes a tenth of a second and 32 MiB. Raises SecretValueError."""
    from agent.values import passwords

    return _of_function("derivePassword", secret, parameters, passwords.derived)


def hashed(secret: Secret, salt: bytes, standing: Sequence[Secret] = ()) -> Secret:
    """What `bcrypt` gives with this salt, or one of the `standing` hashes that is one of this text. Raises SecretValueError."""
    from agent.values import passwords

    def made(text: str, known: Sequence[str]) -> str:
        return next((each for each in known if passwords.fits(text, each)), None) or passwords.hashed(text, salt)

    return relabel(_of_function("bcrypt", secret, standing, made), *secret.labels)


def hashes(secret: Secret, most: int) -> list[Secret]:
    """The first hashes of `bcrypt` that stand in a text."""
    from agent.values import passwords

    return [Secret(each, *secret.labels) for each in passwords.hashes(_text(secret), most)]


def _of_function(
    function: str, secret: Secret, parameters: Sequence[str | Secret], make: Callable[[str, Sequence[str]], str]
) -> Secret:
    labels = dict.fromkeys(label for each in (secret, *parameters) if isinstance(each, Secret) for label in each.labels)
    given = [_text(each) if isinstance(each, Secret) else each for each in parameters]
    try:
        return Secret(make(_text(secret), given), *labels)
    except sprig.UnusableError as error:
        why = error.why
    hint: Final = "keep the value in clear text, or store what the template needs"
    raise SecretValueError(why, label=" + ".join(labels), hint=hint, function=function)


def agrees(question: str, secret: Secret, others: Sequence[str | Secret], *, expected: bool) -> bool:
    """Whether a question of a template (`values.sprig`) finds what is expected; False for a value that cannot be asked."""
    given = [_text(each) if isinstance(each, Secret) else each for each in others]
    value = reveal(secret)
    try:
        return sprig.answer(question, value, given) == expected
    except (sprig.UnusableError, ValueError):
        return False


def _go_escaped(char: str) -> str:
    if char in _GO_ESCAPES:
        return _GO_ESCAPES[char]
    if char.isprintable():
        return char
    code = ord(char)
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def to_json(tree: Tree, *labels: str) -> Secret:
    """A whole tree, secrets included, as one JSON text."""

    def plain(_: Path, leaf: Leaf) -> Leaf:
        value = reveal(leaf) if isinstance(leaf, Secret) else leaf
        return value.decode() if isinstance(value, bytes) else value

    return Secret(json.dumps(map_leaves(tree, plain), ensure_ascii=False), *labels)


def _text(secret: Secret) -> str:
    value: Plain = reveal(secret)
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes):
        decoded = _decoded(value)
        if decoded is None:
            raise SecretValueError(
                "value is not text", label=secret.label, hint="use it in data of a Secret, which takes bytes"
            )
        return decoded
    return json.dumps(value)


# The decoders' own errors hold the whole input, and `from None` leaves them in `__context__`: ours are raised after they are gone.


def _decoded(raw: bytes) -> str | None:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return None


def _loaded(secret: Secret) -> Tree:
    text = _text(secret)
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        failure = SecretValueError("value is not JSON", label=secret.label, hint="a pointer needs a JSON value")
    raise failure
