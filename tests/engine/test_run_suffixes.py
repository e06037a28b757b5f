"""Names with a hash of what they hold: they stay while what they hold stays, whatever becomes of its ciphertext."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

from memory_world import sources
from memory_world.sealed_files import encrypt
from whole_runs import manifests as m
from whole_runs.installation import Installation
from whole_runs.surroundings import UID

from agent.engine import suffixes
from agent.engine.renderers import Kustomization, SourceTree
from agent.values.ids import ApplicationId
from agent.values.secret import Secret
from agent.values.tree import get_text

if TYPE_CHECKING:
    import pytest

    from agent.adapters.render.pool import Renderers
    from agent.engine.suffixes import Settled
    from agent.values.tree import Object

ENV = "password=hunter2\nhost=db.example.com\n"
LONG = "data: " + "x" * 300 + " <&>\u2028 ü\n"
OVERLAY = """\
resources: [web.yaml]
secretGenerator:
- {name: env, envs: [db.env]}
- {name: long, files: [long.txt]}
"""
WEB = m.workload(uses="env", args=["--secret=$(ENV)", "env"])


def files(
    env: str = ENV, *, recipient: str = "", overlay: str = OVERLAY, long: str = LONG, **more: str
) -> dict[str, str]:
    """The overlay, encrypted for a recipient, or in the clear."""
    secret = {"db.env": env, "long.txt": long}
    if recipient:
        secret = {name: encrypt(text, name, recipient=recipient) for name, text in secret.items()}
    given = {"kustomization.yaml": overlay, "web.yaml": WEB, **secret, **more}
    return {f"prod/{name}": text for name, text in given.items()}


def world(renderers: Renderers, given: dict[str, str] | None = None, **spec: object) -> Installation:
    made = Installation(
        files=given or files(recipient="age1team"), **{"render": {"kustomize": {"path": "prod"}}, **spec}
    )
    made.renderers = sources.Renderers(renderers)
    made.keys.held |= {"age1second", "age1third"}
    made.stores.write("kv/db", password="first")
    return made


async def build_plain(renderers: Renderers, given: dict[str, str]) -> list[Object]:
    """What kustomize makes of plaintext."""
    tree = SourceTree.of({path: text.encode() for path, text in given.items()})
    result = await renderers.kustomize(ApplicationId("", "kubectl", ""), Kustomization("prod", tree))
    assert result.error is None
    return [each.tree for each in result.objects]


async def apply_plain(renderers: Renderers, made: Installation, given: dict[str, str]) -> dict[str, str]:
    """What `kubectl apply -k` does; gives the names by their base."""
    found: dict[str, str] = {}
    for tree in await build_plain(renderers, given):
        name = get_text(tree, "metadata", "name")
        found[name.rpartition("-")[0] or name] = name
        if tree["kind"] == "Secret":  # the API server takes base64 with line breaks, and stores bytes
            data = tree["data"]
            assert isinstance(data, dict)
            data.update({key: "".join(str(value).split()) for key, value in data.items()})
        made.make(json.dumps(tree), "kubectl-client-side-apply")
    return found


def secrets(made: Installation) -> dict[str, str]:
    """The Secrets in the cluster, by base; there is one of each."""
    names = all_secrets(made)
    found = {name.rpartition("-")[0]: name for name in names}
    assert len(found) == len(names)
    return found


def all_secrets(made: Installation) -> list[str]:
    return sorted(key.name for key in made.server.objects if key.kind == "Secret")


def template(made: Installation) -> object:
    return made.value("Deployment/web", "spec", "template")


async def test_another_ciphertext_of_the_same_values_changes_nothing(renderers: Renderers) -> None:
    made = world(renderers)
    ran = await made.run()
    assert ran.problems == []
    before, pods = secrets(made), template(made)
    assert set(before) == {"env", "long"}
    for recipient in ("age1second", "age1third", "age1second", "age1team"):
        made.push(files(recipient=recipient))
        ran = await made.run()
        assert (ran.quiet, secrets(made), template(made)) == (True, before, pods)
        ran = await made.run()
        assert (ran.quiet, ran.opened) == (True, [])


async def test_another_process_knows_the_names_and_opens_nothing(renderers: Renderers) -> None:
    made = world(renderers)
    await made.run()
    made.push(files(recipient="age1second"))
    await made.run()
    before = secrets(made)
    made.restart()
    ran = await made.run()
    assert (ran.quiet, ran.opened, secrets(made)) == (True, [], before)
    made.push(files(recipient="age1third"))
    ran = await made.run()
    assert (ran.quiet, secrets(made)) == (True, before)


async def test_another_value_is_another_name_and_rolls_its_workload_once(renderers: Renderers) -> None:
    made = world(renderers)
    await made.run()
    before = secrets(made)
    made.push(files(ENV.replace("hunter2", "hunter3"), recipient="age1second"))
    ran = await made.run()
    after = secrets(made)
    assert ran.problems == []
    assert ran.writes == [f"apply Secret/{after['env']}", "apply Deployment/web", f"delete Secret/{before['env']}"]
    assert after["long"] == before["long"]
    assert made.value(f"Secret/{after['env']}", "data", "password") == Secret(encoded("hunter3"), "expected")
    assert after["env"] in json.dumps(template(made))
    made.push(files(ENV.replace("hunter2", "hunter3"), recipient="age1third"))
    ran = await made.run()
    assert (ran.quiet, secrets(made)) == (True, after)


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


async def test_what_kubectl_applied_keeps_its_names_and_its_pods(renderers: Renderers) -> None:
    made = world(renderers)
    stood = await apply_plain(renderers, made, files())
    pods = template(made)
    ran = await made.run()
    assert ran.problems == []
    assert (secrets(made), template(made)) == ({"env": stood["env"], "long": stood["long"]}, pods)
    assert ran.reads.count("list Secret/") == 1
    made.push(files(recipient="age1second"))
    ran = await made.run()
    assert (ran.quiet, template(made)) == (True, pods)
    made.push(files(ENV + "more=x\n", recipient="age1second"))
    await made.run()
    assert secrets(made)["env"] != stood["env"]
    assert secrets(made)["long"] == stood["long"]


async def test_a_workload_that_comes_after_the_take_over_has_no_token(renderers: Renderers) -> None:
    made = world(renderers)
    await apply_plain(renderers, made, files())
    await made.run()
    overlay = OVERLAY.replace("[web.yaml]", "[web.yaml, new.yaml]")
    more = m.workload("new", uses="env", app="new")
    made.push(files(recipient="age1second", overlay=overlay, **{"new.yaml": more}))
    ran = await made.run()
    assert (ran.problems, ran.writes) == ([], ["apply Deployment/new"])
    assert "signet-gitops.dev" not in json.dumps(made.value("Deployment/new", "spec", "template"))


async def test_clear_values_beside_sealed_ones_are_part_of_the_hash(renderers: Renderers) -> None:
    overlay = OVERLAY.replace("envs: [db.env]", "envs: [db.env], literals: [clear=text]")
    made = world(renderers, files(recipient="age1team", overlay=overlay))
    stood = await apply_plain(renderers, made, files(overlay=overlay))
    ran = await made.run()
    assert (ran.problems, secrets(made)) == ([], {"env": stood["env"], "long": stood["long"]})


async def test_what_is_being_deleted_is_not_taken(renderers: Renderers) -> None:
    made = world(renderers)
    stood = await apply_plain(renderers, made, files())
    made.edit(f"Secret/{stood['env']}", "metadata", "finalizers", to=["example.com/kept"])
    made.delete(f"Secret/{stood['env']}")
    ran = await made.run()
    assert ran.problems == []
    assert stood["env"] not in json.dumps(template(made))
    assert stood["long"] in all_secrets(made)


async def test_what_stands_with_other_values_is_not_taken(renderers: Renderers) -> None:
    made = world(renderers)
    stood = await apply_plain(renderers, made, files(ENV + "more=x\n"))
    ran = await made.run()
    assert ran.problems == []
    assert len([name for name in all_secrets(made) if name.startswith("env-")]) == 2
    assert stood["env"] not in json.dumps(template(made))
    assert stood["long"] in all_secrets(made)


async def test_an_object_of_another_application_is_not_taken_over(renderers: Renderers) -> None:
    made = world(renderers)
    stood = await apply_plain(renderers, made, files())
    made.put_other("other")
    made.give_to(f"Secret/{stood['env']}", "other")
    ran = await made.run()
    assert ran.problems == []
    assert stood["env"] not in json.dumps(template(made))


CONFIG = {
    "secrets": {"allow": ["ConfigMap"]},
    "operator": m.operator(sinks={"configMaps": True}),
}


async def test_a_config_map_with_sealed_values_is_named_as_a_secret_is(renderers: Renderers) -> None:
    overlay = "configMapGenerator: [{name: conf, envs: [db.env], files: [long.txt], literals: ['a=<&>']}]\n"
    made = world(renderers, files(recipient="age1team", overlay=overlay), **CONFIG)
    [tree] = await build_plain(renderers, files(overlay=overlay))
    made.make(json.dumps(tree), "kubectl-client-side-apply")
    ran = await made.run()
    name = get_text(tree, "metadata", "name")
    assert (ran.problems, ran.writes) == ([], [f"patch ConfigMap/{name}", f"apply ConfigMap/{name}"])
    made.push(files(recipient="age1second", overlay=overlay))
    ran = await made.run()
    assert ran.quiet
    made.push(files(ENV + "more=x\n", recipient="age1second", overlay=overlay))
    ran = await made.run()
    assert [write.partition(" ")[0] for write in ran.writes] == ["apply", "delete"]


async def test_many_new_values_wait_for_no_confirmation(renderers: Renderers) -> None:
    overlay = "secretGenerator:\n" + "".join(f"- {{name: s{number}, envs: [db.env]}}\n" for number in range(4))
    made = world(renderers, files(recipient="age1team", overlay=overlay))
    await made.run()
    made.push(files(ENV + "more=x\n", recipient="age1second", overlay=overlay))
    ran = await made.run()
    assert ran.problems == []
    assert set(secrets(made)) == {"s0", "s1", "s2", "s3"}
    made.push(files(recipient="age1second", overlay="resources: [web.yaml]\n"))
    ran = await made.run()
    assert {problem.partition(" ")[0] for problem in ran.problems} == {"PruneRefused"}


async def test_a_layer_that_changes_what_a_name_holds_rolls_its_workload(renderers: Renderers) -> None:
    made = world(renderers, layers=["more"])
    await made.run()
    before = secrets(made)
    layer = f"apiVersion: v1\nkind: Secret\nmetadata:\n  name: {before['env']}\nstringData:\n  more: x\n"
    made.push({**files(recipient="age1second"), "more/env.yaml": layer})
    ran = await made.run()
    assert ran.writes == [f"apply Secret/{before['env']}", "apply Deployment/web"]
    made.push({**files(recipient="age1third"), "more/env.yaml": layer})
    ran = await made.run()
    assert ran.quiet


async def test_a_value_that_does_not_open_leaves_the_last_good_state(renderers: Renderers) -> None:
    made = world(renderers)
    await made.run()
    before, pods = secrets(made), template(made)
    made.push(files(recipient="age1stranger"))
    ran = await made.run()
    assert {problem.partition(" ")[0] for problem in ran.problems} == {"DataKey"}
    assert (ran.writes, secrets(made), template(made)) == ([], before, pods)


async def test_two_generators_with_equal_content_keep_a_name_each(renderers: Renderers) -> None:
    overlay = OVERLAY + "- {name: copy, envs: [db.env]}\n"
    made = world(renderers, files(recipient="age1team", overlay=overlay))
    await made.run()
    before = secrets(made)
    assert set(before) == {"env", "copy", "long"}
    made.push(files(recipient="age1second", overlay=overlay))
    ran = await made.run()
    assert (ran.quiet, secrets(made)) == (True, before)


async def test_an_immutable_one_is_not_replaced(renderers: Renderers) -> None:
    overlay = OVERLAY + "generatorOptions: {immutable: true}\n"
    made = world(renderers, files(recipient="age1team", overlay=overlay))
    await made.run()
    before = secrets(made)
    made.push(files(recipient="age1second", overlay=overlay))
    ran = await made.run()
    assert (ran.quiet, secrets(made)) == (True, before)


async def test_a_lost_record_keeps_the_names(renderers: Renderers) -> None:
    made = world(renderers)
    await made.run()
    made.push(files(recipient="age1second"))
    await made.run()
    before, pods = secrets(made), template(made)
    made.lose_record()
    made.restart()
    made.push(files(recipient="age1third"))
    ran = await made.run()
    assert ran.problems == []
    assert (secrets(made), template(made)) == (before, pods)
    made.push(files(recipient="age1second"))
    ran = await made.run()
    assert (ran.quiet, secrets(made)) == (True, before)


async def test_a_lost_record_and_another_value_give_another_name(renderers: Renderers) -> None:
    made = world(renderers)
    await made.run()
    before = secrets(made)
    made.lose_record()
    made.restart()
    made.push(files(ENV.replace("hunter2", "hunter3"), recipient="age1second"))
    ran = await made.run()
    assert ran.problems == []
    assert f"apply Secret/{before['long']}" in ran.writes
    assert before["env"] not in json.dumps(template(made))


async def test_a_layer_may_name_what_was_rendered(renderers: Renderers) -> None:
    other = world(renderers, files(recipient="age1second"))
    await other.run()
    made = world(renderers, layers=["more"])
    await made.run()
    before = secrets(made)
    assert secrets(other)["env"] != before["env"]
    layer = f"apiVersion: v1\nkind: Secret\nmetadata:\n  name: {secrets(other)['env']}\nstringData:\n  more: x\n"
    made.push({**files(recipient="age1second"), "more/env.yaml": layer})
    ran = await made.run()
    assert (ran.problems, secrets(made)) == ([], before)
    assert made.value(f"Secret/{before['env']}", "data", "more") == Secret(encoded("x"), "expected")


async def test_a_name_in_a_text_follows(renderers: Renderers) -> None:
    overlay = OVERLAY + (
        "vars: [{name: ENV, objref: {apiVersion: v1, kind: Secret, name: env}}]\nconfigurations: [where.yaml]\n"
    )
    given = {
        "overlay": overlay,
        "where.yaml": "varReference: [{path: spec/template/metadata/annotations, kind: Deployment}]\n",
        "web.yaml": WEB.replace('"labels": {', '"annotations": {"checksum/env": "$(ENV)"}, "labels": {'),
    }
    made = world(renderers, files(recipient="age1team", **given))
    ran = await made.run()
    assert ran.errors == []
    before, pods = secrets(made), template(made)
    assert f"--secret={before['env']}" in json.dumps(pods)
    annotations = made.value("Deployment/web", "spec", "template", "metadata", "annotations")
    assert annotations == {"checksum/env": before["env"]}
    made.push(files(recipient="age1second", **given))
    ran = await made.run()
    assert (ran.quiet, template(made)) == (True, pods)


async def test_a_reference_keeps_its_name_and_rolls_its_workload(renderers: Renderers) -> None:
    overlay = OVERLAY + "- {name: store, literals: ['pw=vault://main/kv/db#password']}\n"
    given = {"recipient": "age1team", "overlay": overlay, "other.yaml": m.workload("other", uses="store", app="other")}
    given["overlay"] = overlay.replace("[web.yaml]", "[web.yaml, other.yaml]")
    made = world(renderers, files(**given))
    await made.run()
    before = secrets(made)
    made.stores.write("kv/db", password="second")
    ran = await made.probe()
    assert ran is not None
    assert ran.writes == [f"apply Secret/{before['store']}", "apply Deployment/other"]
    assert secrets(made) == before
    made.lose_record()
    made.restart()
    assert ((await made.run()).problems, secrets(made)) == ([], before)
    made.stores.write("kv/db", password="third")
    ran = await made.probe()
    assert ran is not None
    assert ran.writes == [f"apply Secret/{before['store']}", "apply Deployment/other"]


async def test_variables_in_the_content_itself_are_not_covered(renderers: Renderers) -> None:
    overlay = "configMapGenerator: [{name: conf, envs: [db.env], literals: ['name=$(ENV)']}, {name: env}]\n"
    overlay += (
        "vars: [{name: ENV, objref: {apiVersion: v1, kind: ConfigMap, name: env}}]\nconfigurations: [where.yaml]\n"
    )
    given = {"overlay": overlay, "where.yaml": "varReference: [{path: data, kind: ConfigMap}]\n"}
    made = world(renderers, files(recipient="age1team", **given), **CONFIG)
    await made.run()
    made.push(files(recipient="age1second", **given))
    ran = await made.run()
    assert [write.partition("-")[0] for write in ran.writes] == ["apply ConfigMap/conf", "delete ConfigMap/conf"]


async def test_what_a_store_has_is_not_looked_for_among_what_stands(renderers: Renderers) -> None:
    overlay = "secretGenerator: [{name: store, literals: ['pw=vault://main/kv/db#password']}]\n"
    made = world(renderers, files(recipient="age1team", overlay=overlay))
    plain = overlay.replace("vault://main/kv/db#password", "first")
    stood = await apply_plain(renderers, made, files(overlay=plain))
    await made.run()
    assert len(all_secrets(made)) == 2
    assert stood["store"] in all_secrets(made)


async def test_a_value_goes_back_to_its_name_while_that_stands(renderers: Renderers) -> None:
    made = world(renderers, prune=False)
    await made.run()
    pods = template(made)
    made.push(files(ENV + "more=x\n", recipient="age1second"))
    await made.run()
    assert template(made) != pods
    made.push(files(recipient="age1third"))
    ran = await made.run()
    assert (ran.writes, template(made)) == (["apply Deployment/web"], pods)


async def test_what_an_earlier_agent_applied_is_left_as_it_is(
    renderers: Renderers, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = world(renderers)

    async def no_names(*_: object) -> Settled:
        return suffixes.NOTHING

    with monkeypatch.context() as before:
        before.setattr(suffixes, "settle", no_names)
        await made.run()
    names, pods, stored = secrets(made), template(made), made.shards[UID].texts
    made.restart()
    ran = await made.run()
    assert (ran.quiet, ran.opened, made.shards[UID].texts["objects-0"]) == (True, [], stored["objects-0"])
    for recipient in ("age1second", "age1team", "age1third"):
        made.push(files(recipient=recipient))
        ran = await made.run()
        assert (ran.quiet, secrets(made), template(made)) == (True, names, pods)


async def test_no_name_is_looked_for_in_a_namespace_that_is_not_open(renderers: Renderers) -> None:
    """Whether a Secret of a guessed content stands there would show in the name that the error gives."""
    made = world(renderers, files(recipient="age1team", overlay=OVERLAY + "namespace: bank\n"))
    plain = await apply_plain(renderers, made, files(overlay=OVERLAY + "namespace: bank\n"))
    ran = await made.run()
    assert {problem.partition(" ")[0] for problem in ran.problems} == {"ForeignNamespace"}
    assert not [each for each in ran.reads if each.startswith("list Secret")]
    assert plain["env"] not in str(ran.problems)
