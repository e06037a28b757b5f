"""ConfigMaps into which an Application put a secret are no clear text for another one, whichever agent applied them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from whole_runs import manifests as m
from whole_runs.installation import Installation
from whole_runs.surroundings import INSTALLATION, NAMESPACE, OBSERVER, PRINTS

from agent.engine.context import Fingerprints
from agent.manifests import contents, ownership
from agent.manifests.ownership import Owner
from agent.values.ids import ApplicationId, ObjectId
from agent.values.secret import Secret
from agent.values.tree import get_object, get_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.values.fingerprint import Fingerprinter
    from agent.values.tree import Object

CANARY = "canary-of-a-neighbour"
KEY = ObjectId("", "ConfigMap", NAMESPACE, "settings")
OTHER = Owner(INSTALLATION, ApplicationId(NAMESPACE, "other", "uid-of-other"))
FOREIGN = Fingerprints.derive(Secret(b"another installation's key......", "key")).owners


def settings(**metadata: str) -> Object:
    tree = m.tree(m.config("settings", "", None, HOST=CANARY))
    return {**tree, "metadata": {**get_object(tree, "metadata"), "namespace": NAMESPACE, **metadata}}


def applied(*, secret: bool = False, owner: Owner = OTHER, prints: Fingerprinter = PRINTS.owners) -> Object:
    """As an agent of another Application applies it."""
    return ownership.stamp(contents.mark(settings(), KEY, holds_secret=secret), KEY, owner, prints)


def only_marked() -> Object:
    """What a person writes who copies the annotation of another object."""
    return contents.mark(settings(), KEY, holds_secret=True)


def world(given: Object, by: str, operation: str) -> Installation:
    made = Installation(
        files={"a.yaml": m.config("a", data="${HOST}"), "s.yaml": m.secret("s", "${HOST}")},
        substitute={"from": [{"kind": "ConfigMap", "name": "settings"}]},
    )
    made.server.create(given, by, operation)
    return made


@pytest.mark.parametrize(
    ("given", "by", "operation"),
    [
        (lambda: applied(secret=True), "signet", "Apply"),
        (settings, "signet", "Apply"),
        (settings, "signet-released", "Apply"),
        (lambda: applied(prints=FOREIGN), "signet", "Apply"),
        (lambda: applied(owner=replace(OTHER, installation="another")), "signet", "Apply"),
        (only_marked, "kubectl", "Update"),
        (lambda: applied(prints=FOREIGN), "kubectl", "Update"),
        (applied, "signet-released", "Apply"),
    ],
    ids=[
        "holds a secret",
        "field manager alone",
        "left to others, field manager alone",
        "another installation's key",
        "another installation",
        "a copied mark",
        "a copied owner",
        "values that were left to others",
    ],
)
async def test_what_is_not_proven_clear_stays_sealed(given: Callable[[], Object], by: str, operation: str) -> None:
    made = world(given(), by, operation)
    ran = await made.run()
    assert (ran.problems, ran.writes) == (["Sink ConfigMap/a"], ["apply Secret/s"])
    assert CANARY not in repr((ran.audit, ran.status, ran.messages, ran.errors))
    assert (await made.run()).writes == []


@pytest.mark.parametrize(
    ("given", "by", "operation"),
    [(applied, "signet", "Apply"), (settings, "kubectl", "Update"), (settings, "kustomize-controller", "Apply")],
    ids=["of another Application", "of a person", "of Flux"],
)
async def test_what_is_proven_clear_and_what_no_agent_wrote_is_text(
    given: Callable[[], Object], by: str, operation: str
) -> None:
    made = world(given(), by, operation)
    ran = await made.run()
    assert (ran.problems, made.value("ConfigMap/a", "data", "value")) == ([], CANARY)


async def test_each_apply_says_whether_the_object_holds_a_secret() -> None:
    made = Installation(
        files={"a.yaml": m.config("a", data="clear"), "b.yaml": m.config("b", data="vault://main/kv/db#password")},
        secrets={"allow": ["ConfigMap"]},
        operator=m.operator(sinks={"configMaps": True}),
    )
    made.stores.write("kv/db", password=CANARY)

    def clear(name: str) -> bool:
        live = made.live(f"ConfigMap/{name}")
        assert live is not None
        return OBSERVER.is_clear(live, ObjectId("", "ConfigMap", NAMESPACE, name))

    await made.run()
    assert (clear("a"), clear("b")) == (True, False)
    made.push({"a.yaml": m.config("a", data="vault://main/kv/db#password"), "b.yaml": m.config("b", data="clear")})
    await made.run()
    assert (clear("a"), clear("b")) == (False, True)
    made.edit("ConfigMap/a", "metadata", "annotations", contents.ANNOTATION, to="clear")
    assert not clear("a")
    assert (await made.heal()).writes == ["apply ConfigMap/a"]
    assert get_text(made.live("ConfigMap/a") or {}, "metadata", "annotations", contents.ANNOTATION) == "sealed"


async def test_an_upgrade_marks_what_holds_a_secret_and_writes_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    made = Installation(
        files={"a.yaml": m.config("a", data="clear"), "b.yaml": m.config("b", data="vault://main/kv/db#password")},
        secrets={"allow": ["ConfigMap"]},
        operator=m.operator(sinks={"configMaps": True}),
    )
    made.stores.write("kv/db", password=CANARY)
    with monkeypatch.context() as before:
        before.setattr(contents, "is_marked", lambda _: False)
        await made.run()
    made.restart()
    assert (await made.run()).writes == ["apply ConfigMap/b"]
    assert (await made.run()).writes == []


async def test_a_source_that_turns_out_to_be_sealed_is_compiled_again() -> None:
    made = world(applied(), "signet", "Apply")
    await made.run()
    made.edit("ConfigMap/settings", "metadata", "annotations", contents.ANNOTATION, to="sealed", by="signet")
    ran = await made.probe()
    assert ran is not None
    assert ran.problems == ["Sink ConfigMap/a"]


def test_only_config_maps_are_marked_and_a_reader_without_the_key_takes_the_word() -> None:
    workload = ObjectId("apps", "Deployment", NAMESPACE, "web")
    assert contents.mark({"kind": "Deployment"}, workload, holds_secret=True) == {"kind": "Deployment"}
    assert contents.claims_clear(applied(prints=FOREIGN))
    assert contents.claims_clear(settings())
    assert not contents.claims_clear(applied(secret=True))


def test_a_mark_in_git_counts_for_nothing() -> None:
    assert contents.mark(only_marked(), KEY, holds_secret=False) == settings(annotations={})
