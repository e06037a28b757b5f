"""Random pipelines of template functions over one sealed value: what Helm makes of the value itself, or a refusal.

A pipeline is written into a surrounding, as charts do, and beside it as JSON, which takes any text as it is. So where Helm's own YAML turns a
text into a number or breaks, what a pipeline gives is known all the same.
"""

from __future__ import annotations

import json
import random
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from agent.engine.renderers import Chart, SourceTree
from agent.values.errors import AgentError
from agent.values.tree import get, map_leaves
from agent.yaml.read import manifests
from testbed.equivalence import openings
from testbed.equivalence.openings import CLUSTER, Sealing

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable

    from agent.engine.renderers import Rendered
    from agent.values.tree import Path, Tree

VALUES: Final = {
    "easy": "s3cretPassw0rd",
    "special": "p@ss:w/rd?&=%+#'\"\\<>{}[]!*|$~`^ ,;",
    "yes": "yes",
    "octal": "0123",
    "comment": "a # b",
    "map": "p: q",
    "list": "a,b,c",
    "JSON": '{"a": ["b", null]}',
    "encoded": "c2VjcmV0LXZhbHVl",
    "lines": "line one\n  line two\n\n\tline four",
    "PEM": "-----BEGIN KEY-----\nMIIE+/=\n\nabc\n-----END KEY-----\n",
    "Unicode": "ü€𝄞 ß \u00a0é",
    "spaces": "  x\t",
}
STEPS: Final = (
    *("quote", "squote", "toString", "b64enc", "b64dec", "b32enc", "upper", "lower", "trim", "title", "untitle", "nospace"),
    *("initials", "swapcase", "camelcase", "snakecase", "kebabcase", "urlquery", "html", "js", "toYaml", "toJson"),
    *("toRawJson", "toPrettyJson", "fromYaml", "fromJson", "len", "int", "float64", "atoi", "sha1sum", "sha256sum"),
    *("sha512sum", "adler32sum", "print", "println", "list", "first", "last", "kindOf", "typeOf", "deepCopy", "not"),
    *("empty", "trunc 5", "trunc -4", "trunc 300", "substr 0 4", "substr 2 -1", "abbrev 8", "repeat 2", "indent 2"),
    *("nindent 4", "wrap 10", 'cat "x"', 'printf "%s"', 'printf "%q"', 'printf "%v-x"', 'printf "%5s"'),
    *('printf "%x"', 'printf "%d"', 'trimAll "\\""', 'trimAll "-"', 'trimPrefix "s3"', 'trimSuffix "\\n"'),
    *('trimSuffix "d"', 'replace "s" "z"', 'replace "\\n" " "', 'replace "," "\\\\,"', 'default "d"'),
    *('coalesce ""', 'required "needed"', 'ternary "y" "n"', 'contains "a"', 'contains ","', 'contains "{{"', 'hasPrefix "-"'),
    *('hasSuffix "d"', 'eq "yes"', 'ne "yes"', 'splitList ","', 'split ","', 'join "-"', 'regexMatch "^a"'),
    *('regexReplaceAll "a" "b"', 'regexFind "[a-z]+"', 'kindIs "string"', "semver", "add 1", 'has "a"', "uniq"),
    *("sortAlpha", 'dict "k"', 'tuple "a"', 'append (list "a")', 'prepend (list "a")', "compact", "reverse"),
    *('tpl "{{ . }}"', 'ternary "y" "n" true', 'and "a"', 'or ""', 'set (dict) "k"', "squote | quote"),
)  # fmt: skip
SLOW_STEPS: Final = ("bcrypt", 'htpasswd "u"', 'derivePassword 1 "long" "p" "u"')
_SLOW_SHARE: Final = 0.002
"""Each takes a tenth of a second, several times over."""
SURROUNDINGS: Final = {
    "quoted": 'apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData:\n  x: "{{ $x }}"\n',
    "by quote": "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData:\n  x: {{ $x | quote }}\n",
    "bare": "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData:\n  x: {{ $x }}\n",
    "encoded": "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ndata:\n  x: {{ $x | toString | b64enc }}\n",
    "in a block": "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData:\n  x: |-\n{{ $x | toString | indent 4 }}\n",
    "in text": 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n  x: "u:{{ $x }}@host"\n',
    "in an argument": "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec:\n  containers: [{name: c, args: [{{ $x | quote }}]}]\n",
}
_AS_JSON: Final = "apiVersion: v1\nkind: Secret\nmetadata: {name: b}\nstringData:\n  x: {{ $x | toString | toJson }}\n"
_AROUND: Final = {"in text": "u:{}@host"}
_PATHS: Final[dict[str, Path]] = {
    "encoded": ("stringData", "x"),
    "in text": ("data", "x"),
    "in an argument": ("spec", "containers", 0, "args", 0),
}
_AT: Final[Path] = ("stringData", "x")
_HASH: Final = re.compile(r"\$2a\$10\$[./A-Za-z0-9]{53}")
_SEALING: Final = Sealing.of("a")
_KEPT: Final = 20_000
"""Renders; most that are asked for again are of a single step."""


@dataclass(frozen=True, slots=True)
class Pipeline:
    steps: tuple[str, ...]
    value: str
    surrounding: str

    def __str__(self) -> str:
        return f"{' | '.join(('.Values.a', *self.steps))} of {self.value}, {self.surrounding}"

    def files(self, value: str, *, surrounded: bool = True) -> dict[str, bytes]:
        """A chart with it, over this value."""
        let = f"{{{{- $x := {' | '.join(('.Values.a', *self.steps))} -}}}}\n"
        templates = {"b": _AS_JSON, **({"a": SURROUNDINGS[self.surrounding]} if surrounded else {})}
        return {
            "chart/Chart.yaml": b"apiVersion: v2\nname: shop\nversion: 1.2.3\n",
            "values.yaml": openings.written({"a": value}),
            **{f"chart/templates/{name}.yaml": (let + text).encode() for name, text in templates.items()},
        }


def drawn(seed: int, count: int) -> list[Pipeline]:
    """So many, the same ones for the same seed."""
    draw = random.Random(seed)

    def one() -> Pipeline:
        steps = draw.choices(STEPS, k=draw.randint(1, 3))
        if draw.random() < _SLOW_SHARE:
            steps.insert(draw.randint(0, 1), draw.choice(SLOW_STEPS))
        return Pipeline(tuple(steps), draw.choice(list(VALUES)), draw.choice(list(SURROUNDINGS)))

    return [one() for _ in range(count)]


class Judge:
    """Says of pipelines what comes of them. What one shares with an earlier one is not rendered again: the sealed chart is that of any value."""

    def __init__(self, render: Callable[[Chart], Rendered]) -> None:
        self._render: Final = render
        self._rendered: Final[dict[Hashable, Rendered]] = {}

    def judged(self, pipeline: Pipeline) -> str:
        """A class of `CLASSES`, or a fault."""
        value, steps = VALUES[pipeline.value], pipeline.steps
        given = self._chart((steps, pipeline.surrounding), pipeline.files(_SEALING.placeholders["a"]))
        alone_at, alone_files = (steps, "", pipeline.value), pipeline.files(value, surrounded=False)
        if given.error is not None:
            return "refused" if (self._chart(alone_at, alone_files)).error is None else "Helm refuses too"
        plain = self._chart(pipeline, pipeline.files(value))
        alone = plain if plain.error is None else self._chart(alone_at, alone_files)
        try:
            found = openings.opened(given, _SEALING, {"a": value})
            ours = _by_name(found.trees())
        except AgentError:
            return "held"
        if not found.holds:
            return "held by a question"
        if alone.error is not None:
            return "Helm alone refuses"
        expected = str(_text(_by_name(_trees(alone))["b"], _AT))
        result = _compared(pipeline, _text(ours["b"], _AT), expected)
        return result if result != "equal" else _surrounded(pipeline, ours["a"], expected, plain)

    def _chart(self, key: Hashable, files: dict[str, bytes]) -> Rendered:
        if key not in self._rendered:
            if len(self._rendered) == _KEPT:
                del self._rendered[next(iter(self._rendered))]
            asked = Chart("chart", SourceTree.of(files), "web", "shop", CLUSTER, now=0, values_files=("values.yaml",))
            self._rendered[key] = self._render(asked)
        return self._rendered[key]


def _surrounded(pipeline: Pipeline, ours: Tree, expected: str, plain: Rendered) -> str:
    at = _PATHS.get(pipeline.surrounding, _AT)
    got = _text(ours, at)
    if plain.error is None and got == _text(_by_name(_trees(plain))["a"], at):
        return "equal"
    got, expected = _without_hashes(got), _HASH.sub("hash", expected)
    around = _AROUND.get(pipeline.surrounding, "{}").format(expected)
    if pipeline.surrounding == "encoded":
        return "equal" if got == around else "different in its surroundings"
    return "whole where Helm's YAML is not" if _words(got) == _words(around) else "different in its surroundings"


CLASSES: Final = frozenset(
    {
        "equal",
        "the same YAML",
        "made of YAML in another style",
        "other line breaks at the end",
        "whole where Helm's YAML is not",
        "refused",
        "held",
        "held by a question",
        "Helm refuses too",
    }
)
"""What may come of a pipeline. Anything else is a fault."""


def _compared(pipeline: Pipeline, ours: Tree, expected: str) -> str:
    """What a pipeline gives as JSON, beside what Helm's functions give."""
    if ours == expected:
        return "equal"
    if not isinstance(ours, str):
        return "different"
    if ours.rstrip("\n") == expected.rstrip("\n"):
        return "other line breaks at the end"
    if "toYaml" in pipeline.steps:
        return "the same YAML" if _same_yaml(ours, expected) else "made of YAML in another style"
    return "different"


def _words(text: Tree) -> list[str]:
    """Without what YAML takes for its own where a text stands bare: white space, quotes around it and a list's brackets."""
    if isinstance(text, list):
        return [word for each in text for word in _words(each)]
    return str(text).strip("'\"\n []").split()


def _trees(given: Rendered) -> list[Tree]:
    """The objects of a render over plain values, with the hashes that it asks for."""
    return openings.opened(given, _SEALING, {}).trees() if given.expressions else [each.tree for each in given.objects]


def _without_hashes(tree: Tree) -> Tree:
    """The salt of a hash is by its place, and so another one in each surrounding."""
    return map_leaves(tree, lambda _, leaf: _HASH.sub("hash", leaf) if isinstance(leaf, str) else leaf)


def _by_name(trees: Iterable[Tree]) -> dict[str, Tree]:
    return {str(get(each, "metadata", "name")): each for each in trees}


def _text(tree: Tree, at: Path) -> Tree:
    for part in at:
        if isinstance(tree, dict):
            tree = tree.get(str(part))
        elif isinstance(tree, list) and isinstance(part, int):
            tree = tree[part] if part < len(tree) else None
    return tree


def _same_yaml(one: Tree, other: Tree) -> bool:
    def read(text: Tree) -> str:
        return json.dumps([each.tree for each in manifests.parse(str(text).encode(), file="text")], sort_keys=True)

    try:
        return read(one) == read(other)
    except AgentError:
        return False
