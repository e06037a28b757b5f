"""What a chart may ask of sealed values, what it is refused, and what hostile charts come to: named by function, template and line."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import charts
import pytest
from charts import NAMES, OTHER, SECRET, SECRETS, Row, Value, chart
from openings import PLACEHOLDERS, opened, render
from tight import TIGHT

from agent.adapters.render.pool import Renderers
from agent.values.errors import ChartError, RandomValueError, RenderLimitError, SealedValueReadError

if TYPE_CHECKING:
    from pathlib import Path

    from agent.values.errors import AgentError


def secret(template: str, **values: Value) -> Row:
    """A chart whose Secret has this text on its eighth line."""
    files = chart(_names=NAMES, secret=SECRETS + f"stringData: {{a: b}}\n{template}\n")
    return Row(files, {"auth": {"password": SECRET, "list": [SECRET, OTHER]}, **values})


SEALED = {
    "len .Values.auth.password": "len",
    "regexMatch `^a` .Values.auth.password": "regexMatch",
    'regexReplaceAll "a" .Values.auth.password "b"': "regexReplaceAll",
    "atoi .Values.auth.password": "atoi",
    "int .Values.auth.password": "int",
    "add 1 .Values.auth.password": "add",
    "index .Values.auth.password 0": "index",
    "lt .Values.auth.password `b`": "lt",
    "sortAlpha .Values.auth.list": "sortAlpha",
    "has `x` .Values.auth.list": "has",
    "uniq .Values.auth.list": "uniq",
    "without .Values.auth.list `x`": "without",
    "deepEqual .Values.auth .Values.auth": "deepEqual",
    "semverCompare `>1` .Values.auth.password": "semverCompare",
    "nospace .Values.auth.password": "nospace",
    "title .Values.auth.password": "title",
    "html .Values.auth.password": "html",
    "js .Values.auth.password": "js",
    "toToml .Values.auth": "toToml",
    "adler32sum .Values.auth.password": "adler32sum",
    "derivePassword 1 .Values.auth.password `word` `user` `host`": "derivePassword",
    "derivePassword 1 `long` (quote .Values.auth.password) `user` `host`": "derivePassword",
    "bcrypt (quote .Values.auth.password)": "bcrypt",
    "htpasswd (printf `%s:` .Values.auth.password) `x`": "htpasswd",
    "eq (bcrypt .Values.auth.password) `x`": "eq",
    "contains `a` (htpasswd `x` .Values.auth.password)": "contains",
    "genCA .Values.auth.password 30": "genCA",
    "urlParse .Values.auth.password": "urlParse",
    'printf "%x" .Values.auth.password': "printf",
    'printf "%.3s" .Values.auth.password': "printf",
    'printf "%[1]s" .Values.auth.password': "printf",
    'printf "%-20s|" .Values.auth.password': "printf",
    'printf .Values.auth.password "x"': "printf",
    "splitList `` .Values.auth.password": "splitList",
    "include .Values.auth.password .": "include",
    "dict .Values.auth.password 1": "dict",
    "get .Values.auth .Values.auth.password": "get",
    "hasKey .Values.auth .Values.auth.password": "hasKey",
    "index .Values.auth .Values.auth.password": "index",
    "tpl (printf `{{ .Values.%s }}` .Values.auth.password) .": "tpl",
    "printf `%s` .Values.auth.password | quote | upper": "upper",
    "slice .Values.auth.list (int .Values.auth.password)": "int",
    "eq .Values.auth.password 1": "eq",
    "wrap 5 .Values.auth.password": "wrap",
    "toDecimal .Values.auth.password": "toDecimal",
    "mustRegexFind `a` .Values.auth.password": "mustRegexFind",
    "plural .Values.auth.password `b` 1": "plural",
    "seq 1 (int .Values.auth.password)": "int",
    "encryptAES `k` .Values.auth.password": "",
}


@pytest.mark.parametrize("expression", SEALED)
async def test_a_function_that_reads_a_value_is_named_with_its_line(renderers: Renderers, expression: str) -> None:
    given = await render(renderers, secret(f"{{{{- $x := {expression} }}}}"))
    assert isinstance(given.error, SealedValueReadError if SEALED[expression] else RandomValueError)
    assert str(given.error).startswith("chart/templates/secret.yaml:8: ")
    assert given.error.facts["function"] == (SEALED[expression] or "encryptAES")
    assert not given.objects


RANDOM = ("encryptAES `a` `b`", "shuffle `abc`", "randInt 1 5", "ago now", "genPrivateKey `dsa`")


@pytest.mark.parametrize("expression", RANDOM)
async def test_a_value_that_a_template_makes_up_is_named_with_its_line(renderers: Renderers, expression: str) -> None:
    given = await render(renderers, secret(f"{{{{- $x := {expression} }}}}"))
    assert isinstance(given.error, RandomValueError)
    assert str(given.error).startswith("chart/templates/secret.yaml:8: ")
    assert given.error.facts["function"] == expression.partition(" ")[0]


GENERATED = {
    "randAlphaNum 10": ("randAlphaNum", ("10",)),
    "randBytes 8": ("randBytes", ("8",)),
    "uuidv4": ("uuidv4", ()),
    "genPrivateKey `ed25519`": ("genPrivateKey", ("ed25519",)),
    "(genCA `a` 10).Cert": ("genCA", ("a", "10")),
    "(genSelfSignedCert `a` (list `10.0.0.1`) nil 1).Key": ("genSelfSignedCert", ("a", '["10.0.0.1"]', "[]", "1")),
}


@pytest.mark.parametrize("expression", GENERATED)
async def test_a_value_that_is_kept_is_asked_for_and_not_made(renderers: Renderers, expression: str) -> None:
    given = await render(renderers, secret(f"x: {{{{ {expression} }}}}"))
    assert given.error is None
    stands = str(given.objects[0].tree)
    (asked,) = [each for name, each in given.generated.items() if name in stands]
    assert (asked.function, asked.args) == GENERATED[expression]
    assert (asked.file, asked.line) == ("chart/templates/secret.yaml", 8)
    assert given.questions == ()


async def test_a_helper_asks_for_another_value_at_each_place_and_a_file_that_is_included_again_for_the_same(
    renderers: Renderers,
) -> None:
    helper = "{{ define `made` }}{{ randAlphaNum 5 }}{{ end }}"
    body = (
        "a: {{ include `made` . }}\nb: {{ include `made` . }}\nc: [{{ range until 2 }}{{ include `made` $ }},{{ end }}]"
    )
    row = secret(body)
    again = '{{ include (print $.Template.BasePath "/secret.yaml") . | quote }}'
    more = {"templates/_helpers.tpl": helper, "templates/again.yaml": f"kind: X\napiVersion: v1\ntext: {again}\n"}
    given = await render(renderers, replace(row, files={**row.files, **more}))
    assert (given.error, len(given.generated)) == (None, 4)


async def test_a_file_that_is_included_with_something_else_asks_for_other_values(renderers: Renderers) -> None:
    body = "a: {{ randAlphaNum 5 }}"
    name = '(print .Template.BasePath "/secret.yaml")'
    values = "(dict `Values` .Values `Release` .Release `Chart` .Chart `x` 1)"
    for data, count in ((".", 1), ("$", 1), (values, 2), ("(merge (dict `x` 1) .)", 2)):
        row = secret(body)
        text = f"kind: X\napiVersion: v1\ntext: {{{{ include {name} {data} | quote }}}}\n"
        given = await render(renderers, replace(row, files={**row.files, "templates/again.yaml": text}))
        assert (given.error, len(given.generated)) == (None, count), data


@pytest.mark.parametrize(
    "expression", ["randAlphaNum 5000", "range until 300 }}{{ randAlpha 3 }}{{ end", "randAlphaNum -1"]
)
async def test_how_much_is_made_up_has_a_bound(renderers: Renderers, expression: str) -> None:
    given = await render(renderers, secret(f"x: {{{{ {expression} }}}}"))
    assert isinstance(given.error, RenderLimitError)


QUESTIONS = {
    "{{ if eq .Values.auth.password `other` }}{{ end }}": [("other", False), ("x", True)],
    "{{ if ne .Values.auth.password `other` }}{{ end }}": [("other", False), ("x", True)],
    "{{ if eq .Values.auth.password `a` `b` }}{{ end }}": [("a", False), ("b", False), ("c", True)],
    "{{ if contains `,` .Values.auth.password }}{{ end }}": [("a,b", False), ("ab", True)],
    "{{ if hasPrefix `x` .Values.auth.password }}{{ end }}": [("xy", False), ("yx", True)],
    "{{ if hasSuffix `x` .Values.auth.password }}{{ end }}": [("yx", False), ("xy", True)],
    "{{ if .Values.auth.password }}{{ end }}": [("", False), ("x", True)],
    "{{ with .Values.auth.password }}{{ end }}": [("", False), ("x", True)],
    "{{ if and .Values.auth.password true }}{{ end }}": [("", False), ("x", True)],
    "{{ if or false .Values.auth.password }}{{ end }}": [("", False), ("x", True)],
    "{{ $x := default `a` .Values.auth.password }}": [("", False), ("x", True)],
    "{{ $x := coalesce .Values.none .Values.auth.password }}": [("", False), ("x", True)],
    "{{ $x := required `a` .Values.auth.password }}": [("", False), ("x", True)],
    "{{ $x := .Values.auth.password | trim | default `a` }}": [("  ", False), (" x ", True)],
    "{{ $x := .Values.auth.password | b64enc | default `a` }}": [("", False), ("x", True)],
    "{{ $x := empty .Values.auth.password }}": [("", False), ("x", True)],
    "{{ $x := not .Values.auth.password }}": [("", False), ("x", True)],
    "{{ $x := ternary 1 2 (empty .Values.auth.password) }}": [("", False), ("x", True)],
    "{{ $x := merge (dict) .Values.auth (dict `password` `x`) }}": [("", False), ("x", True)],
    "{{ $x := compact .Values.auth.list }}": [("", False), ("x", True)],
    "{{ $x := splitList `ab` (printf `%sab%s` .Values.auth.password `x`) }}": [
        ("a", True),
        ("aab", False),
        ("x", True),
    ],
    "{{ $x := splitList `aba` (printf `%saba` .Values.auth.password) }}": [("ab", False), ("x", True)],
    "{{ if eq (printf `a%s` .Values.auth.password) `ab` }}{{ end }}": [("b", False), ("x", True)],
    "{{ $x := htpasswd .Values.auth.password `x` }}": [("a:b", False), ("ab", True)],
}


@pytest.mark.parametrize("template", QUESTIONS)
async def test_what_a_template_asks_is_asked_again_of_the_value(renderers: Renderers, template: str) -> None:
    given = await render(renderers, secret(template))
    assert given.error is None
    assert [opened(given, {"a": value, "b": "y"})[1] for value, _ in QUESTIONS[template]] == [
        holds for _, holds in QUESTIONS[template]
    ]
    assert (given.questions[0].file, given.questions[0].line) == ("chart/templates/secret.yaml", 8)


@pytest.mark.parametrize(
    "asks", ["contains `:` (bcrypt .Values.auth.password)", "eq `a,b` (b64enc .Values.auth.password)"]
)
async def test_what_no_value_can_answer_otherwise_is_not_asked(renderers: Renderers, asks: str) -> None:
    given = await render(renderers, secret(f"{{{{ if {asks} }}}}{{{{ fail `no` }}}}{{{{ end }}}}"))
    assert (given.error, given.questions) == (None, ())


async def test_templates_may_ask_for_sixty_four_hashes(renderers: Renderers) -> None:
    asks = "{{ range until %d }}{{ $x := bcrypt (printf `%%d` .) }}{{ end }}"
    assert (await render(renderers, secret(asks % 64))).error is None
    given = await render(renderers, secret(asks % 65))
    assert isinstance(given.error, RenderLimitError)
    assert str(given.error).startswith("chart/templates/secret.yaml:8: templates ask for more hashes")


async def test_no_operand_of_a_question_is_in_its_text(renderers: Renderers) -> None:
    given = await render(renderers, secret("{{ if eq .Values.auth.password `hunter2` }}{{ end }}"))
    assert len(given.questions) == 1
    assert "hunter2" not in repr(given.questions)
    assert "sGnT0k" not in repr(given.questions)


async def test_a_value_that_is_known_to_be_text_is_asked_nothing_about_that(renderers: Renderers) -> None:
    row = secret("{{ if .Values.auth.password }}{{ required `a` .Values.auth.password | kindOf | trunc 0 }}{{ end }}")
    assert len((await render(renderers, row)).questions) == 3
    assert not (await render(renderers, row, known=(PLACEHOLDERS["a"],))).questions


async def test_templates_may_ask_thirty_two_questions(renderers: Renderers) -> None:
    asks = "".join(f"{{{{ if eq .Values.auth.password `{n}` }}}}{{{{ end }}}}" for n in range(33))
    assert (
        await render(renderers, secret(asks.removesuffix("{{ if eq .Values.auth.password `32` }}{{ end }}")))
    ).error is None
    given = await render(renderers, secret(asks))
    assert isinstance(given.error, RenderLimitError)
    assert str(given.error).startswith("chart/templates/secret.yaml:8: templates ask sealed values more questions")


HOOK = "apiVersion: batch/v1\nkind: Job\nmetadata: {name: migrate, annotations: {helm.sh/hook: %s}}\n"


async def test_a_hook_is_among_the_objects_and_may_be_left_out(renderers: Renderers) -> None:
    row = Row({**chart(_names=NAMES, secret=SECRETS, job=HOOK % "'pre-install,pre-upgrade'")}, {})
    given = await render(renderers, row)
    assert [each.tree["kind"] for each in given.objects] == ["Secret", "Job"]
    left = await render(renderers, row, skips_hooks=True)
    assert (len(left.objects), left.skipped) == (1, ("chart/templates/job.yaml",))


async def test_tests_and_rollbacks_are_left_out(renderers: Renderers) -> None:
    row = Row({**chart(secret=SECRETS, _names=NAMES, a=HOOK % "test", b=HOOK % "'post-rollback, pre-delete'")}, {})
    given = await render(renderers, row)
    assert given.error is None
    assert (given.skipped, given.elsewhere) == ((), ("chart/templates/b.yaml", "chart/templates/a.yaml"))
    assert [each.tree["kind"] for each in given.objects] == ["Secret"]


DEPENDS = "apiVersion: v2\nname: shop\nversion: 1.0.0\ndependencies: [{name: cache, version: 1.0.0, condition: cache.enabled}]\n"
CACHE = {"charts/cache/Chart.yaml": "apiVersion: v2\nname: cache\nversion: 1.0.0\n"}
WRONG: dict[str, tuple[Row, type[AgentError], str]] = {
    "no chart": (
        Row({"x.yaml": ""}, {}),
        ChartError,
        "chart/Chart.yaml: Helm refuses the chart (says Chart.yaml file is missing)",
    ),
    "a dependency that is not there": (
        Row({"Chart.yaml": DEPENDS}, {}),
        ChartError,
        "chart/Chart.yaml: dependencies of the chart are not in its folder charts (dependencies cache)",
    ),
    "a sealed condition": (
        Row({"Chart.yaml": DEPENDS, **CACHE}, {"cache": {"enabled": SECRET}}),
        SealedValueReadError,
        "chart/Chart.yaml: a sealed value turns a dependency on or off (condition cache.enabled)",
    ),
    "a library": (
        Row({"Chart.yaml": "apiVersion: v2\nname: a\nversion: 1.0.0\ntype: library\n"}, {}),
        ChartError,
        "library charts are not installable",
    ),
    "another Kubernetes": (
        Row({"Chart.yaml": "apiVersion: v2\nname: a\nversion: 1.0.0\nkubeVersion: '>=1.99'\n"}, {}),
        ChartError,
        "kubeVersion: >=1.99 which is incompatible",
    ),
    "a template that is none": (Row(chart(x="{{ if }}"), {}), ChartError, "chart/templates/x.yaml:1: a template fails"),
    "a function that is not there": (
        Row(chart(x="\n{{ env `HOME` }}"), {}),
        ChartError,
        "chart/templates/x.yaml:2: a template fails",
    ),
    "a template that fails": (
        Row(chart(x="\n\n{{ fail `not without a password` }}"), {}),
        ChartError,
        "chart/templates/x.yaml:3: a template fails (says not without a password)",
    ),
    "a value that is missed in another template": (
        Row(chart(_h="{{ define `h` }}\n{{ required `set x` .Values.x }}{{ end }}", x="{{ include `h` . }}"), {}),
        ChartError,
        "chart/templates/_h.tpl:2: a template fails (says set x)",
    ),
    "what is not YAML": (
        Row(chart(x="a: b: c"), {}),
        ChartError,
        "chart/templates/x.yaml: what a template gives is not YAML",
    ),
    "no object": (
        Row(chart(x="- a"), {}),
        ChartError,
        "chart/templates/x.yaml: a template gives something else than an object",
    ),
    "a schema": (
        Row(
            {**chart(x=""), "values.schema.json": '{"properties": {"a": {"type": "number"}}}'}, {"a": "x", "b": SECRET}
        ),
        ChartError,
        "chart/values.schema.json: the values are not what the chart's schema asks for (says at '/a': got string, want number)",
    ),
    "a schema of elsewhere": (
        Row({**chart(x=""), "values.schema.json": '{"$ref": "file:///etc/passwd"}'}, {}),
        ChartError,
        "chart/values.schema.json: a schema that is not in the chart's own file is not fetched",
    ),
    "a schema by HTTP": (
        Row({**chart(x=""), "values.schema.json": '{"$ref": "http://127.0.0.1:1/x"}'}, {}),
        ChartError,
        "chart/values.schema.json: a schema that is not in the chart's own file is not fetched",
    ),
}


@pytest.mark.parametrize("name", WRONG)
async def test_what_is_wrong_with_a_chart_is_said_with_its_place(renderers: Renderers, name: str) -> None:
    row, kind, text = WRONG[name]
    given = await render(renderers, row)
    assert isinstance(given.error, kind)
    assert text in str(given.error)
    assert "sGnT0k" not in str(given.error)


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {"auth": {"properties": {"password": {"maxLength": 5}}}}},
        {"properties": {"auth": {"properties": {"password": {"type": "integer"}}}}},
        {"properties": {"auth": {"properties": {"password": {"anyOf": [{"type": "null"}, {"pattern": "^a$"}]}}}}},
        {"properties": {"auth": {"properties": {"password": {"oneOf": [{"enum": ["x"]}, {"const": 1}]}}}}},
    ],
)
async def test_what_a_schema_says_of_a_sealed_value_does_not_count(renderers: Renderers, schema: object) -> None:
    row = secret("")
    given = await render(renderers, Row({**row.files, "values.schema.json": json.dumps(schema)}, row.values))
    assert given.error is None


HOSTILE = {
    "a loop over millions": "{{ range until 2000000000 }}{{ end }}",
    "a loop without a list": "{{ range 2000000000 }}{{ end }}",
    "two loops": "{{ range until 50000 }}{{ range until 50000 }}{{ end }}{{ end }}",
    "a long text": "{{ repeat 2000000000 `x` }}",
    "a long list": "{{ $x := untilStep 0 2000000000 1 }}",
    "a sequence": "{{ seq 1 2000000000 }}",
    "a list that doubles": "{{ $x := list 1 }}{{ range until 60 }}{{ $x = concat $x $x }}{{ end }}",
    "a text that doubles": "{{ $x := `x` }}{{ range until 60 }}{{ $x = printf `%s%s` $x $x }}{{ end }}",
    "a template within itself": "{{ define `x` }}{{ include `x` . }}{{ end }}{{ include `x` . }}",
    "a template that is executed within itself": "{{ define `y` }}{{ template `y` . }}{{ end }}{{ template `y` . }}",
    "text that is a template of itself": '{{ define `t` }}{{ tpl `{{ include "t" . }}` . }}{{ end }}{{ include `t` . }}',
    "spaces": "{{ indent 2000000000 `x` }}",
    "much output": "{{ range until 50000 }}{{ repeat 1000 `x` }}{{ end }}",
    "aliases": "{{ $x := fromYaml (.Files.Get `bomb.txt`) }}{{ if not $x.Error }}{{ fail `taken` }}{{ end }}",
}
BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)
)


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_hostile_chart_ends_with_its_place_and_the_next_one_is_rendered(program: Path, name: str) -> None:
    renderers = Renderers(program, TIGHT)
    row = secret(HOSTILE[name])
    given = await render(renderers, Row({**row.files, "bomb.txt": BOMB}, row.values))
    assert (given.error is None) == (name == "aliases"), given.error
    if given.error is not None:
        assert isinstance(given.error, RenderLimitError)
        assert str(given.error).startswith(
            "chart/templates/secret.yaml:8: " if name != "much output" else "chart/templates/secret.yaml: "
        )
    assert (await render(renderers, charts.CHARTS["quotes in stringData"])).error is None
    assert renderers.resting == 1
    await renderers.close()
