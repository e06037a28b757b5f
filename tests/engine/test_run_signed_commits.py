"""Commits that the operator wants signed: a refused one changes nothing, and what was accepted once stays so."""

from __future__ import annotations

from memory_world.sources import commit_of
from whole_runs import manifests as m
from whole_runs.installation import Installation

from agent.values.errors import SignerExpiredError, SignerRevokedError, UnsignedError

RULE = {"repositories": ["*"], "sshSigners": "/etc/signers"}
SIGNED = {"signatures": [RULE], "allowedHosts": ["git.example.com"]}


async def applied() -> Installation:
    world = Installation(files={"a.yaml": m.config()}, operator=m.operator(git=SIGNED))
    assert (await world.run()).writes == ["apply ConfigMap/a"]
    return world


async def refused() -> Installation:
    world = await applied()
    world.push({"a.yaml": m.config(data="2")})
    world.git.signers[2] = UnsignedError("the commit is not signed")
    return world


async def test_a_refused_commit_is_not_read_and_the_last_good_one_is_healed() -> None:
    world = await refused()
    reads = world.git.reads
    ran = await world.run()
    assert (ran.writes, ran.problems, ran.ready) == ([], ["Unsigned"], "Unsigned")
    assert world.git.reads == reads
    world.edit("ConfigMap/a", "data", "value", to="edited")
    ran = await world.heal()
    assert (ran.writes, ran.problems) == (["apply ConfigMap/a"], ["Unsigned"])
    assert world.value("ConfigMap/a", "data", "value") == "1"


async def test_a_new_process_refuses_it_as_well_and_heals() -> None:
    world = await refused()
    await world.run()
    world.restart()
    world.edit("ConfigMap/a", "data", "value", to="edited")
    ran = await world.run()
    assert (ran.writes, ran.problems) == (["apply ConfigMap/a"], ["Unsigned"])


async def test_a_signed_commit_on_top_is_taken() -> None:
    world = await refused()
    await world.run()
    world.push({"a.yaml": m.config(data="3")})
    ran = await world.run()
    assert (ran.writes, ran.problems) == (["apply ConfigMap/a"], [])
    assert world.git.demands[-1].accepted == commit_of(1), "all since the one that was accepted are to be signed"


async def test_what_was_accepted_is_not_judged_again_though_its_signer_is_revoked() -> None:
    world = await applied()
    world.git.signers[1] = SignerRevokedError("revoked")
    count = len(world.git.demands)
    world.restart()
    ran = await world.run()
    assert (ran.problems, len(world.git.demands)) == ([], count)


async def test_a_commit_is_judged_by_when_it_was_first_seen() -> None:
    world = await refused()
    await world.run()
    first = world.git.demands[-1].seen
    assert first == int(world.clock.now())
    world.clock.seconds += 3600
    await world.run()
    world.restart()
    await world.run()
    assert {each.seen for each in world.git.demands[1:]} == {first}
    world.push({"a.yaml": m.config(data="3")})
    world.git.signers[3] = SignerExpiredError("expired")
    await world.run()
    assert world.git.demands[-1].seen >= first + 3600


async def test_another_repository_has_no_accepted_commit() -> None:
    world = await applied()
    world.spec(url="https://git.example.com/other.git")
    await world.run()
    assert world.git.demands[-1].accepted == ""


async def test_the_trail_says_once_what_became_of_each_commit() -> None:
    world = await refused()
    actions = [(each.action, dict(each.facts or {})) for each in (await world.run()).audit]
    assert actions == [("commit-refused", {"reason": "Unsigned"})]
    assert (await world.run()).audit == []
    world.push({"a.yaml": m.config(data="3")})
    assert (await world.run()).audit[0].action == "commit-accepted"


async def test_a_url_that_could_get_around_the_rules_is_refused() -> None:
    world = await applied()
    world.spec(url="https://git.example.com//x.git")
    ran = await world.run()
    assert (ran.writes, ran.problems) == ([], ["Config"])
    assert len(world.git.demands) == 1


async def test_without_a_rule_no_signature_is_asked_for() -> None:
    elsewhere = {**SIGNED, "signatures": [{**RULE, "repositories": ["elsewhere.example.com/*"]}]}
    world = Installation(files={"a.yaml": m.config()}, operator=m.operator(git=elsewhere))
    assert (await world.run()).writes == ["apply ConfigMap/a"]
    assert world.git.demands == []
