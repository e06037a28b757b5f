"""Workloads that other tools applied restart when a Secret changes, and not because they are taken over."""

from __future__ import annotations

import base64

import pytest
from memory_world.sealed_files import encrypt
from whole_runs import manifests as m
from whole_runs.installation import Installation

ROLL = ("spec", "template", "metadata", "annotations", "signet-gitops.dev/secrets-version")
STORED = m.secret("api", "vault://main/kv/api#password")


def files(value: str = "hunter2", *, recipient: str = "age1team", **workload: object) -> dict[str, str]:
    sealed = encrypt(m.plain_secret("db", value), "s.yaml", recipient=recipient)
    web = m.workload(kind="Deployment", env=[both("db"), both("api")], **workload)  # pyright: ignore[reportArgumentType]
    return {
        "s.yaml": sealed,
        "v.yaml": STORED,
        "w.yaml": web,
        "job.yaml": m.workload("job", uses="db", kind="DaemonSet"),
    }


def both(name: str) -> object:
    return {"name": name.upper(), "valueFrom": {"secretKeyRef": {"name": name, "key": "password"}}}


def live(name: str, value: str, **more: str) -> str:
    data = {"password": value, **more}
    encoded = {key: base64.b64encode(text.encode()).decode() for key, text in data.items()}
    return m.other("Secret", name, type="Opaque", data=encoded)


def world(*stood: str, manager: str = "kustomize-controller") -> Installation:
    made = Installation(files=files())
    made.keys.held |= {"age1second"}
    made.stores.write("kv/api", password="first")
    for text in (files()["w.yaml"], files()["job.yaml"], *stood):
        made.make(text, manager)
    return made


STOOD = (live("db", "hunter2"), live("api", "first"))


def tokens(made: Installation) -> list[bool]:
    return [bool(made.value(key, *ROLL)) for key in ("Deployment/web", "DaemonSet/job")]


@pytest.mark.parametrize(
    "manager", ["kustomize-controller", "kubectl", "kubectl-client-side-apply", "argocd-controller"]
)
async def test_a_workload_is_taken_over_as_it_stands_and_restarts_once_for_a_new_value(manager: str) -> None:
    made = world(*STOOD, manager=manager)
    before = [made.value(key, "spec", "template") for key in ("Deployment/web", "DaemonSet/job")]
    ran = await made.run()
    assert ran.problems == []
    assert sorted(ran.reads) == ["get DaemonSet/job", "get Deployment/web", "get Secret/api", "get Secret/db"]
    assert [made.value(key, "spec", "template") for key in ("Deployment/web", "DaemonSet/job")] == before
    assert (await made.run()).quiet
    made.restart()
    made.push(files(recipient="age1second"))
    ran = await made.run()
    assert (ran.quiet, ran.opened != []) == (True, True)
    made.push({**files(recipient="age1second"), "more.yaml": m.config()})
    assert (await made.run()).writes == ["apply ConfigMap/a"]

    made.push(files("hunter3"))
    ran = await made.run()
    assert ran.writes == ["apply Secret/db", "apply DaemonSet/job", "apply Deployment/web", "delete ConfigMap/a"]
    assert tokens(made) == [True, True]
    written = made.value("Deployment/web", *ROLL)
    assert (await made.run()).quiet
    made.push(files("hunter3", recipient="age1second"))
    assert ((await made.run()).quiet, made.value("Deployment/web", *ROLL)) == (True, written)


async def test_another_version_in_the_store_restarts_the_one_that_names_it() -> None:
    made = world(*STOOD)
    await made.run()
    made.stores.write("kv/api", password="second")
    ran = await made.probe()
    assert ran is not None
    assert (ran.writes, tokens(made)) == (["apply Secret/api", "apply Deployment/web"], [True, False])


@pytest.mark.parametrize(
    ("stood", "restarts"),
    [
        ((live("db", "other"), live("api", "first")), [True, True]),
        ((live("db", "hunter2"), live("api", "other")), [True, False]),
        ((live("db", "hunter2", more="x"), live("api", "first")), [True, True]),
        ((live("db", "hunter2").replace("Opaque", "example.com/x"), live("api", "first")), [True, True]),
        ((live("api", "first"),), [True, True]),
        ((), [True, True]),
    ],
)
async def test_a_secret_that_held_something_else_or_was_not_there_restarts_what_names_it(
    stood: tuple[str, ...], restarts: list[bool]
) -> None:
    made = world(*stood)
    ran = await made.run()
    assert (ran.problems, tokens(made)) == ([], restarts)
    assert (await made.run()).quiet


@pytest.mark.parametrize(
    ("first", "then", "token"),
    [
        (files(), files(), False),
        (files(recipient="age1second"), files(), False),
        (files(), files(recipient="age1second"), False),
        (files("hunter3"), files("hunter3"), True),
        (files(), files("hunter3"), True),
    ],
)
async def test_a_workload_that_is_taken_over_later_goes_on_while_the_secret_holds_what_it_held(
    first: dict[str, str], then: dict[str, str], token: bool
) -> None:
    """The Secrets are taken over, then hold what is in `first`, and the workloads come with `then`."""
    made = world(*STOOD)
    secrets = ("s.yaml", "v.yaml")
    for given in (files(), first):
        made.push({name: given[name] for name in secrets})
        await made.run()
    made.restart()
    made.push(then)
    ran = await made.run()
    assert (ran.problems, tokens(made)) == ([], [token, token])


async def test_of_many_objects_only_secrets_and_what_names_them_are_read_one_by_one() -> None:
    made = world(*STOOD, *(m.config(f"c{number}") for number in range(3)), live("more", "x"))
    configs = {f"{number}.yaml": m.config(f"c{number}") for number in range(3)}
    more = encrypt(m.plain_secret("more", "x"), "more.yaml")
    made.push({**files(), **configs, "more.yaml": more})
    ran = await made.run()
    assert (ran.problems, tokens(made)) == ([], [False, False])
    secrets = [f"get Secret/{name}" for name in ("api", "db", "more")]
    assert sorted(ran.reads) == ["get DaemonSet/job", "get Deployment/web", *secrets, "list ConfigMap/", "list Secret/"]


async def test_a_new_workload_has_its_token() -> None:
    made = world(*STOOD)
    made.push({**files(), "new.yaml": m.workload("new", uses="db", app="new")})
    await made.run()
    assert made.value("Deployment/new", *ROLL)
    assert tokens(made) == [False, False]


async def test_a_failed_take_over_is_made_up_for_without_a_restart() -> None:
    made = world(*STOOD)
    changes = [lambda n=n: made.edit("Deployment/web", "spec", "replicas", to=n, by="hpa") for n in range(12)]
    made.meanwhile("apply Deployment/web", *changes[:4])
    ran = await made.run()
    assert ran.problems == ["StaleObject Deployment/web"]
    ran = await made.run()
    assert (ran.problems, tokens(made)) == ([], [False, False])


async def test_a_lost_record_restarts_nothing() -> None:
    for change in (False, True):
        made = world(*STOOD)
        await made.run()
        if change:
            made.push(files("hunter3"))
            await made.run()
        before = made.value("Deployment/web", *ROLL)
        made.lose_record()
        made.restart()
        ran = await made.run()
        assert (ran.problems, made.value("Deployment/web", *ROLL)) == ([], before)
