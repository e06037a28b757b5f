"""Inputs that are large by repetition: whatever takes more than linear time or memory shows here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

_SIZES: Final = (2 * 1024, 8 * 1024, 32 * 1024, 32 * 1024, 128 * 1024, 128 * 1024, 512 * 1024, 1024 * 1024)


def make(chance: Random) -> tuple[str, bytes]:
    """A target and its input, of up to 1 MiB."""
    target, form = chance.choice(_FORMS)
    size = chance.choice(_SIZES)
    return target, form(size)


def _filled(unit: bytes, size: int) -> bytes:
    return unit * (size // len(unit) + 1)


def _numbered(form: bytes, size: int) -> bytes:
    """`form` with a number in each, as `%d` or `%(n)d`."""
    count = size // (len(form) + 4) + 1
    return b"".join(form.replace(b"@", b"%d" % number) for number in range(count))


def _nested_block(size: int) -> bytes:
    lines: list[bytes] = []
    depth = 0
    while size > 0:
        lines.append(b" " * depth + b"a:")
        size -= depth + 3
        depth += 1
    return b"\n".join([*lines[:-1], b" " * depth + b"b"])


def _bomb(size: int) -> bytes:
    """Each alias names ten of the one before it."""
    lines = [b"a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [b"a%d: &a%d [%s]" % (n, n, b", ".join([b"*a%d" % (n - 1)] * 10)) for n in range(1, max(size // 64, 2))]
    return b"\n".join(lines)


def _wide_aliases(size: int) -> bytes:
    """As many as the ratio of aliased nodes allows, or a few more."""
    own = size // 8
    return b"a: &a [" + _filled(b"x, ", size // 2) + b"]\n" + b"".join(b"k%d: *a\n" % n for n in range(own // 64))


def _merges(size: int) -> bytes:
    return b"a0: &a0 {k: v}\n" + b"".join(
        b"a%d: &a%d\n  <<: *a%d\n  k%d: v\n" % (n, n, n - 1, n) for n in range(1, min(size // 26, 2000) + 1)
    )


def _sealed_values(size: int) -> bytes:
    value = b"ENC[AES256_GCM,data:QUFBQQ==,iv:QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=,tag:QUFBQUFBQUFBQUFBQUFBQQ==,type:str]"
    return (
        _numbered(b"k@: " + value + b"\n", size)
        + b"sops:\n  mac: x\n  version: 3.9.0\n  lastmodified: '2024-01-01T00:00:00Z'\n"
    )


def _wrapped(before: bytes, unit: bytes, after: bytes) -> Callable[[int], bytes]:
    return lambda size: before + _filled(unit, size) + after


_YAML: Final[tuple[Callable[[int], bytes], ...]] = (
    _nested_block,
    _bomb,
    _wide_aliases,
    _merges,
    _sealed_values,
    *(
        _wrapped(*each)
        for each in (
            (b"a: ", b"[", b""), (b"a: ", b"{", b""), (b"", b"- ", b"a"), (b"", b"? ", b""), (b"a: ", b"[a,", b"]"),
            (b"a: [", b"{},", b"]"), (b"a: [", b"[],", b"]"), (b"a: ", b"x", b"\n"), (b"", b"x", b": a\n"),
            (b"a: '", b"x ", b"'\n"), (b'a: "', b"\\n", b'"\n'), (b'a: "', b"\\/", b'"\n'), (b"a: '", b"''", b"'\n"),
            (b"a: |\n", b"  x\n", b""), (b"a: >\n", b"  x\n\n", b""), (b"a: |\n", b"  \n", b""),
            (b"a: |+\n", b"\n", b"b: c\n"), (b"a:\n", b"  x\n", b""), (b"a: 1\n", b"#\n", b""),
            (b"a: 1 ", b"# ", b"\n"), (b"a:\n", b"  # c\n", b"  b: c\n"), (b"a:\n", b"\n", b"  b: c\n"),
            (b"a: 1\n", b"# c\n\n", b"b: 2\n"), (b"", b"---\n", b""), (b"", b"---\na: 1\n", b""),
            (b"", b"...\n", b""), (b"a: ", b"!a ", b""), (b"a: &", b"a", b" x\nb: *a\n"),
            (b"a: &a x\nb: [", b"*a,", b"]"), (b"", b"%TAG !a! !b\n", b"---\na: b\n"), (b"a: ", b" ", b"b\n"),
            (b"a: ", b"\t", b"b\n"), (b"a: !!int ", b"9", b"\n"), (b"a: 0x", b"f", b"\n"), (b"a: 1e", b"9", b"\n"),
            (b"a: 0b", b"1_", b"\n"), (b"a: -0.", b"0", b"1\n"), (b"a: !!binary ", b"QUFB", b"\n"),
            (b"a: 1:", b"1:", b"1\n"), (b"a: ", b"a: ", b"a\n"), (b"a: ", b"a:b", b"\n"), (b"a: 'x' ", b"#", b"\n"),
            (b"a: ", b"\xe2\x80\xa8", b"\n"), (b"a: b", b"\r", b""), (b"a: b", b"\r\n", b""),
            (b"", b"\xef\xbb\xbf", b"a: b"), (b"", b"\x00", b""), (b'a: "', b"\xc3\xa9", b'"\n'),
            (b"a: [\n", b"x, # c\n", b"]\n"), (b"a:\n", b"- # c\n", b""), (b"- ", b"- # c\n", b""),
            (b"a: |\n", b"  x # y\n", b""), (b"a:\n", b"- |\n  x\n", b""), (b"<<: [", b"{a: b},", b"]\n"),
            (b"a: *", b"a", b"\n"), (b"a: 2001-01-01T00:00:00.", b"0", b"Z\n"), (b"a:\n- b\n", b"# c\n", b"- d\n"),
            (b"a: {b: c, ", b"# x\n", b"}\n"),
            (b"a: ENC[AES256_GCM,data:", b",iv:", b",tag:QQ==,type:str]\nsops: {version: 3.9.0}\n"),
            (b"sops: {", b"a: b, ", b"}\n"),
        )
    ),
    *(
        (lambda size, form=form: _numbered(form, size))
        for form in (
            b"k@: v\n", b"k@: &a@ v\n", b"'k@': \"v\"\n", b"k@: # c\n  a: b\n", b"k@: {a: b}\n", b"k@:\n- a\n",
            b"---\nk@: v\n", b"@: v\n",
        )
    ),
)  # fmt: skip
_JSON: Final[tuple[Callable[[int], bytes], ...]] = tuple(
    _wrapped(*each)
    for each in (
        (b"", b"[", b""), (b"", b'{"a":', b""), (b'{"a":[', b"1,", b"1]}"), (b'{"a":"', b"x", b'"}'),
        (b'{"a":"', b"\\u00e9", b'"}'), (b'{"a":"', b"\\ud800", b'"}'), (b'{"a":"', b'\\"', b'"}'),
        (b'{"a":', b"9", b"}"), (b'{"a":0.', b"9", b"}"), (b'{"a":1e', b"9", b"}"), (b'{"a":', b" ", b"1}"),
        (b"{", b'"a":1,', b'"b":2}'), (b'{"a":[', b"{},", b"{}]}"), (b'{"', b"x", b'":1}'), (b"", b'"', b""),
        (b'{"data":"', b"x", b'","sops":{"mac":"","version":"3.9.0"}}'), (b'{"a":[', b"[],", b"[]]}"),
        (b'{"a":-', b"-", b"1}"), (b'"', b"\\", b""),
    )
)  # fmt: skip
_DOTENV: Final[tuple[Callable[[int], bytes], ...]] = (
    *(
        _wrapped(*each)
        for each in (
            (b"", b"A=\n", b""), (b"A=", b"x", b"\n"), (b"", b"A", b"=x"), (b"", b"#\n", b""), (b"#", b"#", b""),
            (b"A=", b"\\n", b""), (b"", b"=", b""), (b"", b"\n", b""), (b"sops_a", b"__map_a", b"=x\n"),
            (b"sops_a", b"__list_0", b"=x\n"), (b"sops_a__list_", b"9", b"=x\n"), (b"sops_", b"_", b"=x\n"),
            (b"", b"sops_a=\n", b""),
        )
    ), *((lambda size, form=form: _numbered(form, size)) for form in (b"K@=v\n", b"sops_a__list_@=v\n",
    b"sops_a__map_@=v\n", b"#c\nK@=v\n")),
)  # fmt: skip
_INI: Final[tuple[Callable[[int], bytes], ...]] = (
    *(
        _wrapped(*each)
        for each in (
            (b"", b"[a]\n", b""), (b"[a]\n", b"-=x\n", b""), (b"[a]\nb=", b"x", b"\n"), (b"[a]\n", b"x", b"=b\n"),
            (b"[", b"a", b"]\n"), (b"[", b"[", b"]"), (b'[a]\nb="""', b"x\n", b'"""\n'),
            (b'[a]\nb="""', b"x\n", b""), (b"[a]\nb=", b"x\\\n", b"\n"), (b"[a]\n", b";\n", b"b=c\n"),
            (b"[a]\nb=c ", b"; ", b"\n"), (b"[a]\nb=`", b"`", b"\n"), (b"[a]\nb='", b"\\'", b"'\n"),
            (b"", b"\n", b""), (b"[a]\n", b"b=c\n", b""), (b"[sops]\na", b"__map_a", b"=x\n"),
            (b"[a]\nb=", b"%(b)s", b"\n"), (b"[a]\nb=", b'"', b"\n"), (b"[a]\n", b"b=`\n", b""),
            (b"[a]\n", b"`", b"=b"), (b"[a]\n", b'"', b"=b"), (b"[a]\n", b" ", b"b=c"), (b"[a]\nb = c", b" ", b"\n"),
            (b"[a]\n", b"b=\\\n", b""), (b"[a]\n", b'b="""\n', b""),
        )
    ), *((lambda size, form=form: _numbered(form, size)) for form in (b"K@=v\n", b"[s@]\n", b"[s@]\na=b\n",
    b";c\nK@=v\n", b"[sops]\na__list_@=v\n")),
)  # fmt: skip
_RULES: Final[tuple[Callable[[int], bytes], ...]] = tuple(
    _wrapped(*each)
    for each in (
        (b"creation_rules:\n", b"- age: a\n", b""), (b"creation_rules: [{path_regex: '", b"(", b"'}]\n"),
        (b"creation_rules: [{path_regex: '", b"a*", b"'}]\n"),
        (b"creation_rules: [{path_regex: '", b"(a*)*", b"$'}]\n"), (b"creation_rules: [{age: '", b"a,", b"'}]\n"),
        (b"creation_rules: [{pgp: [", b"a,", b"]}]\n"), (b"creation_rules: [{kms: '", b"a+b|c:d,", b"'}]\n"),
        (b"creation_rules: [{key_groups: [", b"{age: [a]},", b"]}]\n"),
        (b"creation_rules: [{key_groups: [", b"{merge: [", b""), (b"stores: {yaml: {indent: ", b"9", b"}}\n"),
        (b"creation_rules: [{path_regex: 'a{1,", b"9", b"}'}]"),
        (b"creation_rules: [{hc_vault_transit_uri: '", b"https://a/v1/", b"'}]\n"),
        (b"creation_rules: [{path_regex: '(", b"a|", b"a)'}]"),
    )
)  # fmt: skip
_MARKERS: Final[tuple[Callable[[int], bytes], ...]] = tuple(
    _wrapped(*each)
    for each in (
        (b"", b"<<<<<<< a\n", b""), (b"", b"<<<<<<< a\nb\n=======\nc\n>>>>>>> d\n", b""), (b"", b"<", b""),
        (b"<<<<<<< ", b"x", b"\n=======\n>>>>>>> \n"), (b"<<<<<<< a\n", b"x\n", b"=======\ny\n>>>>>>> b\n"),
        (b"", b"=======\n", b""),
    )
)  # fmt: skip
_HEADER: Final = b"age-encryption.org/v1\n"
_MAC: Final = b"--- " + b"A" * 43 + b"\n"
_AGE: Final[tuple[Callable[[int], bytes], ...]] = tuple(
    _wrapped(*each)
    for each in (
        (_HEADER, b"-> X25519 " + b"A" * 43 + b"\n" + b"A" * 43 + b"\n", _MAC), (_HEADER, b"-> a\n\n", _MAC),
        (_HEADER + b"-> a ", b"b ", b"\n\n" + _MAC), (_HEADER + b"-> a\n", b"A" * 64 + b"\n", b"\n" + _MAC),
        (_HEADER + b"-> X25519 ", b"A", b"\n\n" + _MAC), (_HEADER + b"-> a\n\n" + _MAC, b"A", b""), (b"", b"\n", b""),
        (b"-----BEGIN AGE ENCRYPTED FILE-----\n", b"QUFB" * 16 + b"\n", b"-----END AGE ENCRYPTED FILE-----\n"),
        (b"-----BEGIN AGE ENCRYPTED FILE-----\n", b"A", b"\n-----END AGE ENCRYPTED FILE-----\n"), (b"", b" ", b"-----BEGIN"),
        (b"", b"#\n", b""), (b"AGE-SECRET-KEY-1", b"Q", b""), (b"", b"AGE-SECRET-KEY-1Q\n", b""),
        (b"", b"AGE-SECRET-KEY-1EGTZVFFV20835NWYV6270LXYVK2VKNX2MMDKWYKLMGR48UAWX40Q2P2LM0\n", b""),
        (b"", b"AGE-PLUGIN-A-1", b""), (b"-----BEGIN OPENSSH PRIVATE KEY-----\n", b"A", b"\n-----END OPENSSH PRIVATE KEY-----\n"),
    )
)  # fmt: skip
_FORMS: Final[list[tuple[str, Callable[[int], bytes]]]] = [
    *(("yaml", form) for form in _YAML),
    *(("manifests", form) for form in _YAML),
    *(("json", form) for form in _JSON),
    *(("dotenv", form) for form in _DOTENV),
    *(("ini", form) for form in _INI),
    *(("rules", form) for form in (*_RULES, *_YAML[:20])),
    *(("markers", form) for form in _MARKERS),
    *(("binary", form) for form in _JSON),
    *((target, form) for form in _AGE for target in ("age", "identities")),
]
