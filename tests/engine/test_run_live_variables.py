"""Variables of Secrets and ConfigMaps in the cluster: read as the tenant, sealed until the call, and applied again where they change."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, ClassVar

import pytest
from memory_world import sources
from whole_runs import manifests as m
from whole_runs.installation import Installation
from whole_runs.previewing import FORBIDDEN, User, asking

from agent.engine.ports import Identity
from agent.values.errors import SourceUnavailableError
from agent.values.reveal import reveal
from agent.values.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from whole_runs.ran import Ran

    from agent.adapters.render.pool import Renderers

__all__ = ["asking"]

CANARY = "canary-of-live-variables"
SECRET = {"kind": "Secret", "name": "vars"}
SETTINGS = {"kind": "ConfigMap", "name": "settings"}
ALLOWED = {"secrets": {"allow": ["ConfigMap"]}, "operator": m.operator(sinks={"configMaps": True})}


def encoded(text: str | bytes) -> str:
    return base64.b64encode(text if isinstance(text, bytes) else text.encode()).decode()


def variables(name: str = "vars", **values: str | bytes) -> str:
    lines = "".join(f"  {key}: {encoded(value)}\n" for key, value in values.items())
    return f"apiVersion: v1\nkind: Secret\nmetadata:\n  name: {name}\n  namespace: shop\ndata:\n{lines}"


def settings(**values: str) -> str:
    return m.config("settings", "", None, **values).replace("name: settings", "name: settings\n  namespace: shop")


def world(files: dict[str, str], *given: str, **spec: object) -> Installation:
    """`given` are objects that others created in the cluster."""
    made = Installation(files=files, **{"substitute": {"from": [SECRET]}, **ALLOWED, **spec})  # pyright: ignore[reportArgumentType]
    for text in given:
        made.make(text)
    return made


def text_of(value: object) -> str:
    return str(reveal(value) if isinstance(value, Secret) else value)


async def test_values_of_secrets_stay_sealed_until_the_call_and_those_of_config_maps_are_text(
    renderers: Renderers,
) -> None:
    files = {
        "prod/kustomization.yaml": "resources: [a.yaml, s.yaml]\n",
        "prod/a.yaml": m.config("web-${NAME}", data="${HOST}:${PORT}"),
        "prod/s.yaml": m.secret("s", "${PASSWORD}@${HOST}"),
    }
    made = world(
        files,
        variables(PASSWORD=CANARY),
        settings(NAME="a", HOST="h", PORT="8080"),
        substitute={"from": [SETTINGS, SECRET]},
        render={"kustomize": {"path": "prod"}},
    )
    made.renderers = sources.Renderers(renderers)
    ran = await made.run()
    assert ran.problems == []
    assert made.value("ConfigMap/web-a", "data", "value") == "h:8080"
    assert base64.b64decode(text_of(made.value("Secret/s", "data", "password"))).decode() == f"{CANARY}@h"
    assert not any(CANARY.encode() in data for asked in made.renderers.asked for data in asked.sources.files.values())
    assert CANARY not in repr((ran.audit, ran.status, ran.messages))
    again = await made.run()
    assert (again.quiet, len(made.renderers.asked)) == (True, 1)


async def test_only_the_service_account_reads_them() -> None:
    made = world({"a.yaml": m.secret("a", "${PW}")}, variables(PW="one"))
    await made.run()
    ran = await made.run()
    assert [read for read in ran.reads if "vars" in read] == ["get Secret/vars"]
    assert made.traffic.readers["get Secret/vars"] == {Identity("shop", "signet-applier")}


async def test_a_value_that_changes_is_applied_at_the_next_run_and_named_as_the_cause() -> None:
    made = world({"a.yaml": m.secret("a", "${PW}"), "b.yaml": m.config("b", data="${NAME:=none}")}, variables(PW="one"))
    await made.run()
    made.edit("Secret/vars", "data", "PW", to=encoded("two"))
    ran = await made.run()
    assert (ran.writes, ran.causes) == (["apply Secret/a"], {"Secret/a": "variable-source"})
    assert text_of(made.value("Secret/a", "data", "password")) == encoded("two")
    made.edit("Secret/vars", "metadata", "labels", to={"a": "b"})
    ran = await made.run()
    assert ran.quiet
    made.edit("Secret/vars", "data", "NAME", to=encoded(""))
    assert (await made.run()).quiet
    assert made.value("ConfigMap/b", "data", "value") == "none"


async def test_a_probe_sees_a_value_that_changes_and_starts_a_run() -> None:
    made = world({"a.yaml": m.secret("a", "${PW}")}, variables(PW="one"))
    await made.run()
    assert await made.probe() is None
    made.edit("Secret/vars", "data", "PW", to=encoded("two"))
    ran = await made.probe()
    assert ran is not None
    assert (ran.writes, ran.causes) == (["apply Secret/a"], {"Secret/a": "variable-source"})
    assert made.traffic.readers["get Secret/vars"] == {Identity("shop", "signet-applier")}
    assert await made.probe() is None
    made.delete("Secret/vars")
    assert await made.probe() is None


async def test_a_run_that_only_heals_opens_them_again() -> None:
    made = world({"a.yaml": m.secret("a", "${PW}")}, variables(PW="one"))
    await made.run()
    made.edit("Secret/a", "data", "password", to=encoded("edited"))
    ran = await made.heal()
    assert text_of(made.value("Secret/a", "data", "password")) == encoded("one")
    made.edit("Secret/a", "data", "password", to=encoded("edited"))
    made.edit("Secret/vars", "data", "PW", to=encoded("two"))
    ran = await made.heal()
    assert (ran.problems, ran.errors[0].transient) == (["StaleObject Secret/a"], True)
    ran = await made.run("retry")
    assert (ran.problems, text_of(made.value("Secret/a", "data", "password"))) == ([], encoded("two"))


async def waits(files: dict[str, str]) -> Installation:
    """The next commit waits for `db`, which the first one did not need."""
    made = world(files, variables(PW="one"))
    await made.run()
    made.spec(dependsOn=[{"name": "db"}])
    assert (await made.run("spec")).ready == "Applied"
    made.push({**files, "new.yaml": m.config("new")})
    assert (await made.run()).ready == "DependencyNotReady"
    return made


async def breaks(files: dict[str, str]) -> Installation:
    """The next commit cannot be compiled."""
    made = world(files, variables(PW="one"), layers=["base", "prod"])
    await made.run()
    made.push({**files, "prod/new.yaml": "{"})
    assert (await made.run()).problems == ["Yaml prod/new.yaml"]
    return made


async def is_away(files: dict[str, str]) -> Installation:
    made = world(files, variables(PW="one"))
    await made.run()
    made.git.error = SourceUnavailableError("the server does not answer")
    assert (await made.run()).problems == ["SourceUnavailable"]
    return made


@pytest.mark.parametrize(
    ("without_the_newest", "problems"),
    [(waits, []), (breaks, ["Yaml prod/new.yaml"]), (is_away, ["SourceUnavailable"])],
)
class TestOfTheLastGoodCommit:
    """Values that change are put into it where the newest commit does not run."""

    FILES: ClassVar = {"base/a.yaml": m.secret("a", "${PW}"), "prod/b.yaml": m.config("b")}

    async def test_it_is_applied_with_the_new_value(
        self, without_the_newest: Callable[..., Awaitable[Installation]], problems: list[str]
    ) -> None:
        made = await without_the_newest(self.FILES)
        made.edit("Secret/vars", "data", "PW", to=encoded("two"))
        ran = await made.probe()
        assert ran is not None
        assert (ran.problems, ran.causes) == (problems, {"Secret/a": "variable-source"})
        assert text_of(made.value("Secret/a", "data", "password")) == encoded("two")
        assert await made.probe() is None
        made.edit("Secret/a", "data", "password", to=encoded("edited"))
        ran = await made.heal()
        assert (ran.writes, ran.problems) == (["apply Secret/a"], problems)
        assert made.live("ConfigMap/new") is None

    async def test_a_value_that_cannot_be_taken_is_named_and_tried_again_by_runs_that_ask_git(
        self, without_the_newest: Callable[..., Awaitable[Installation]], problems: list[str]
    ) -> None:
        made = await without_the_newest(self.FILES)
        made.edit("Secret/vars", "data", "tls.crt", to=encoded("x"))
        for cause in ("variables", "interval", "live"):
            ran = await made.run(cause)
            assert (ran.writes, ran.problems.count("Substitution Secret/vars")) == ([], 1)
        assert [read for read in ran.reads if "vars" in read] == []
        assert await made.probe() is None
        made.delete("Secret/vars")
        made.make(variables(PW="two"))
        ran = await made.run()
        assert (ran.writes, ran.problems) == (["apply Secret/a"], problems)


@pytest.mark.parametrize(
    ("named", "given", "reason", "facts"),
    [
        ([SECRET], (), "Config Secret/vars", {}),
        ([SETTINGS], (), "Config ConfigMap/settings", {}),
        ([SECRET], (variables(**{"tls.crt": "x"}),), "Substitution Secret/vars", {"variable": "tls.crt"}),
        ([SECRET], (variables(**{f"V{number}": "x" for number in range(1025)}),), "Limit Secret/vars", {}),
        ([SECRET], (variables(V="x" * 900_000),), "Limit Secret/vars", {}),
    ],
)
async def test_what_cannot_be_taken_leaves_the_last_good_state(
    named: list[object], given: tuple[str, ...], reason: str, facts: dict[str, str]
) -> None:
    made = world({"a.yaml": m.config("a", data="1")}, *given, substitute={})
    await made.run()
    made.spec(substitute={"from": named})
    ran = await made.run("spec")
    assert (ran.problems[0], ran.writes) == (reason, [])
    assert ran.errors[0].hint
    assert facts.items() <= ran.errors[0].facts.items()


async def test_a_source_that_the_tenant_may_not_read_is_named() -> None:
    made = world({"a.yaml": m.secret("a", "${PW}")}, variables(PW="one"))
    made.traffic.unreadable.add(("", "Secret"))
    ran = await made.run()
    assert (ran.problems[:1], ran.writes) == (["Forbidden Secret/vars"], [])
    made.traffic.unreadable.clear()
    ran = await made.run("retry")
    assert (ran.problems, ran.writes) == ([], ["apply Secret/a"])


async def test_an_optional_source_may_come_later_and_go() -> None:
    optional = [{**SECRET, "optional": True}]
    made = world({"a.yaml": m.secret("a", "${PW:-none}")}, substitute={"from": optional})
    ran = await made.run()
    assert (ran.problems, text_of(made.value("Secret/a", "data", "password"))) == ([], encoded("none"))
    made.make(variables(PW="one"))
    await made.run()
    assert text_of(made.value("Secret/a", "data", "password")) == encoded("one")
    made.delete("Secret/vars")
    await made.run()
    assert text_of(made.value("Secret/a", "data", "password")) == encoded("none")


@pytest.mark.parametrize(
    ("substitute", "expected"),
    [
        ({"from": [SETTINGS, SECRET]}, "secret"),
        ({"from": [SECRET, SETTINGS]}, "config"),
        ({"from": [SETTINGS, SECRET], "files": ["vars.env"]}, "file"),
        ({"from": [SETTINGS, SECRET], "files": ["vars.env"], "variables": {"V": "inline"}}, "inline"),
    ],
)
async def test_later_sources_win_then_files_then_the_spec(substitute: dict[str, object], expected: str) -> None:
    files = {"app/a.yaml": m.config("a", data="${V}"), "vars.env": "V=file\n"}
    made = world(files, variables(V="secret"), settings(V="config"), layers=["app"], substitute=substitute)
    ran = await made.run()
    assert ran.problems == []
    assert text_of(made.value("ConfigMap/a", "data", "value")) == expected


FLUX = [
    ("value", "${V}", "value"),
    ("value", "${V:=d}|${V:-d}|${V=d}", "value|value|value"),
    ("", "${V:=d}|${V:-d}", "d|d"),
    ("\n", "${V:=d}", "d"),
    ("value\n", "${V}", "value"),
    ("value\n", "a ${V} b", "a value b"),
    ("*.example.com", "${V}", "*.example.com"),
    ("a: b", "${V}", "a: b"),
    ("yes", "${V}", "yes"),
    ("0123", "${V}", "0123"),
    ("${W}", "${V}", "${W}"),
    ("v", "${W:=${V}}", "v"),
    ("v", "$${V} ${V}", "${V} v"),
]
"""A Secret's value, a text, and what Flux makes of it."""


@pytest.mark.parametrize(("value", "text", "expected"), FLUX)
async def test_sealed_values_are_put_in_as_flux_puts_them(value: str, text: str, expected: str) -> None:
    made = world({"a.yaml": m.config("a", data=text)}, variables(V=value))
    ran = await made.run()
    assert ran.problems == []
    assert text_of(made.value("ConfigMap/a", "data", "value")) == expected


@pytest.mark.parametrize("text", ["${#V}", "${V^^}", "${V:1}", "${V/a/b}", "${V%a}", "${V}${V}"])
async def test_what_would_look_into_a_sealed_value_holds_its_object(text: str) -> None:
    made = world({"a.yaml": m.secret("a", text), "b.yaml": m.config("b")}, variables(V=CANARY))
    ran = await made.run()
    assert (ran.writes, len(ran.problems)) == (["apply ConfigMap/b"], 1)
    assert CANARY not in repr(ran.errors) + str(ran.errors[0]) + ran.errors[0].hint


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (m.config("a-${V}"), "Placeholder"),
        (m.config("a", data="${V}"), "Sink"),
        (m.config("a", "1", None, **{"${V}": "x"}), "Placeholder"),
    ],
)
async def test_a_sealed_value_stands_where_secrets_may(text: str, reason: str) -> None:
    made = world({"a.yaml": text}, variables(V=CANARY), secrets={})
    ran = await made.run()
    assert (ran.writes, [problem.split(" ")[0] for problem in ran.problems]) == ([], [reason])


async def test_bytes_that_are_no_text_hold_what_uses_them_and_nothing_else() -> None:
    made = world({"a.yaml": m.secret("a", "x ${V}"), "b.yaml": m.secret("b", "${W}")}, variables(V=b"\xff\xfe", W="w"))
    ran: Ran = await made.run()
    assert (ran.writes, ran.problems) == (["apply Secret/b"], ["SecretValue Secret/a"])


FILES = {"a.yaml": m.secret("a", "${PW}"), "b.yaml": m.config("b", data="${NAME:=none}")}


class TestOfTheCommand:
    """It reads with the user's rights, and says what is not known."""

    async def test_diff_says_what_a_rotated_value_changes(self, asking: Callable[..., User]) -> None:
        made = world(FILES, variables(PW=CANARY))
        await made.run()
        said = await asking(made).diff(FILES)
        assert (said.code, said.actions, said.problems) == (0, {}, [])
        made.edit("Secret/vars", "data", "PW", to=encoded(f"{CANARY}-2"))
        said = await asking(made).diff(FILES)
        assert (said.code, said.actions) == (1, {"Secret/a": "change"})
        assert CANARY not in repr(said)

    async def test_diff_holds_what_depends_on_a_secret_that_the_user_may_not_read(
        self, asking: Callable[..., User]
    ) -> None:
        made = world(FILES, variables(PW=CANARY))
        await made.run()
        said = await asking(made, errors={"get Secret": FORBIDDEN}).diff({**FILES, "c.yaml": m.config("c")})
        assert (said.code, said.actions["ConfigMap/c"]) == (2, "create")
        assert [each["reason"] for each in said.problems] == ["Substitution", "Substitution"]
        assert "unread Secret shop/vars" in said.errors

    async def test_diff_says_that_a_source_does_not_exist(self, asking: Callable[..., User]) -> None:
        made = world(FILES, variables(PW=CANARY))
        await made.run()
        made.delete("Secret/vars")
        said = await asking(made).diff(FILES)
        assert (said.code, said.problems[0]["reason"]) == (2, "Config")

    async def test_render_asks_the_cluster_that_it_is_given_and_no_other(self, asking: Callable[..., User]) -> None:
        user = asking(world(FILES, variables(PW=CANARY)))
        code, out, err = await user.render(FILES)
        assert (code, out) == (1, "")
        assert "unread Secret shop/vars" in err
        code, out, err = await user.render(FILES, "--context", "test")
        assert (code, err) == (0, "")
        assert "<secret live:v1/Secret/shop/vars#data.PW>" in out
        assert CANARY not in out
        code, out, err = await user.render(FILES, "--context", "test", "--reveal", "--force")
        assert (code, CANARY in out) == (0, True)
