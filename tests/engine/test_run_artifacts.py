"""Applications of artifacts: what a tag names now is applied, and what holds for commits holds for digests."""

from __future__ import annotations

import pytest
from memory_world.sealed_files import encrypt
from memory_world.sources import digest_of
from whole_runs import manifests as m
from whole_runs.installation import Installation

from agent.values.errors import SourceError, SourceUnavailableError, UnsignedError

URL = "oci://registry.example.com/shop/deploy"
RULE = {"repositories": ["registry.example.com/shop/*"], "keys": ["/etc/cosign.pub"]}
FILES = {"a.yaml": m.config()}


def world(operator: dict[str, object] | None = None, *, files: dict[str, str] = FILES, **oci: object) -> Installation:
    source = {"oci": {"url": URL, **(oci or {"tag": "latest"})}}
    return Installation(files=files, operator=m.operator(**(operator or {})), source=source)


async def test_a_new_digest_of_the_tag_rolls_out_and_the_status_names_both() -> None:
    made = world()
    ran = await made.run()
    assert (ran.writes, ran.status.revision) == (["apply ConfigMap/a"], f"latest@{digest_of(1)[:19]}")
    assert (await made.run()).quiet
    made.push({"a.yaml": m.config(data="2"), "b.yaml": m.config("b")})
    ran = await made.run()
    assert (ran.writes, ran.status.revision) == (
        ["apply ConfigMap/a", "apply ConfigMap/b"],
        f"latest@{digest_of(2)[:19]}",
    )


@pytest.mark.parametrize("error", [SourceError("no such artifact"), SourceUnavailableError("no answer")])
async def test_the_last_artifact_is_healed_while_the_registry_is_away(error: SourceError) -> None:
    made = world(semver=">=1.0.0 <2.0.0")
    await made.run()
    made.git.error = error
    assert (await made.run()).problems == [error.reason]
    made.edit("ConfigMap/a", "data", "value", to="edited")
    assert (await made.heal()).writes == ["apply ConfigMap/a"]
    assert made.value("ConfigMap/a", "data", "value") == "1"


async def test_a_deletion_is_confirmed_by_the_digest() -> None:
    made = world(files={name: m.config(name[0]) for name in ("a.yaml", "b.yaml", "c.yaml", "d.yaml")})
    await made.run()
    made.push({"a.yaml": m.config()})
    assert set((await made.run()).problems) == {f"PruneRefused ConfigMap/{name}" for name in "bcd"}
    made.annotate(confirm_prune=digest_of(2)[:19])
    assert sorted((await made.run()).writes) == [f"delete ConfigMap/{name}" for name in "bcd"]


async def test_an_unsigned_artifact_is_not_read_where_the_operator_asks_for_signatures() -> None:
    made = world({"oci": {"allowedHosts": ["registry.example.com"], "signatures": [RULE]}})
    assert (await made.run()).problems == []
    (demand,) = made.git.demands
    assert demand.rule.model_dump()["keys"] == ("/etc/cosign.pub",)
    made.push({"a.yaml": m.config(data="2")})
    made.git.signers[2] = UnsignedError("the artifact is not signed")
    reads = made.git.reads
    ran = await made.run()
    assert (ran.writes, ran.problems, made.git.reads) == ([], ["Unsigned"], reads)


@pytest.mark.parametrize(
    ("url", "asked"),
    [
        (URL, True),
        ("oci://registry.example.com:443/shop/deploy", True),
        ("oci://registry.example.com/other/deploy", False),
    ],
)
async def test_a_rule_is_for_a_repository_however_its_host_is_written(url: str, asked: bool) -> None:
    made = world({"oci": {"signatures": [RULE]}}, url=url, tag="latest")
    await made.run()
    assert bool(made.git.demands) == asked


async def test_rules_for_commits_are_none_for_artifacts() -> None:
    made = world({"git": {"signatures": [{"repositories": ["*"], "sshSigners": "/etc/signers"}]}})
    assert (await made.run()).problems == []
    assert not made.git.demands


async def test_the_keys_of_an_artifact_open_nothing_of_a_repository_that_comes_in_its_place() -> None:
    made = world(files={"a.yaml": encrypt(m.secret(value="s3cret"))})
    assert (await made.run()).writes == ["apply Secret/db"]
    made.keys.held.clear()
    made.spec(source={"url": "https://git.example.com/x.git", "revision": {"branch": "main"}})
    ran = await made.run()
    assert (ran.writes, ran.problems) == ([], ["DataKey a.yaml"])
