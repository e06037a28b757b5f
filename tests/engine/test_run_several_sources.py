"""An Application of several repositories: each with its commit, its credential, its signatures and its keys, and all of them one tree."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from memory_world import sources
from memory_world.sealed_files import encrypt
from whole_runs import manifests as m
from whole_runs.installation import Installation

from agent.api import application as applications
from agent.values.errors import ManifestError, SourceError, SourceUnavailableError, UnsignedError
from agent.values.ids import short

if TYPE_CHECKING:
    from collections.abc import Mapping

PLATFORM = "https://git.example.com/platform.git"
FURTHER = {"name": "platform", "url": PLATFORM, "revision": {"branch": "stable"}}


def world(own: Mapping[str, str], platform: Mapping[str, str], *, layers: list[str], **spec: object) -> Installation:
    made = Installation(files=own, layers=layers, **{"sources": [FURTHER], **spec})
    made.git.further[PLATFORM] = sources.Git()
    made.git.further[PLATFORM].push(platform)
    return made


BASE = {"base/a.yaml": m.config(data="base", more="base"), "base/b.yaml": m.config("b"), "x/c.yaml": m.config("c")}
PROD = {"prod/a.yaml": m.config(data="prod")}
LAYERS = ["platform/base", "prod"]


class TestStraightOn:
    async def test_a_layer_of_one_repository_is_merged_onto_one_of_another(self) -> None:
        made = world(PROD, BASE, layers=LAYERS)
        ran = await made.run()
        assert ran.problems == []
        assert ran.writes == ["apply ConfigMap/a", "apply ConfigMap/b"]
        assert made.value("ConfigMap/a", "data") == {"value": "prod", "more": "base"}
        assert (await made.run()).quiet

    async def test_a_commit_of_either_is_taken(self) -> None:
        made = world(PROD, BASE, layers=LAYERS)
        await made.run()
        made.git.further[PLATFORM].push({**BASE, "base/b.yaml": m.config("b", "2")})
        assert (await made.run()).writes == ["apply ConfigMap/b"]
        made.push({"prod/a.yaml": m.config(data="3")})
        assert (await made.run()).writes == ["apply ConfigMap/a"]

    async def test_what_leaves_the_other_repository_is_pruned(self) -> None:
        more = {f"base/{name}.yaml": m.config(name) for name in "defg"}
        made = world(PROD, {**BASE, **more}, layers=LAYERS)
        await made.run()
        made.git.further[PLATFORM].push({**BASE, "base/b.yaml": m.secret("b", "x"), **more})
        ran = await made.run()
        assert sorted(ran.writes) == ["apply Secret/b", "delete ConfigMap/b"]

    async def test_status_and_trail_name_every_commit(self) -> None:
        made = world(PROD, BASE, layers=LAYERS)
        ran = await made.run()
        commit = short(sources.commit_of(1))
        assert ran.status.revision == f"refs/heads/main@{commit}, platform refs/heads/stable@{commit}"
        made.git.further[PLATFORM].push({**BASE, "README.md": "x"})
        ran = await made.run()
        assert ran.quiet
        newer = short(sources.commit_of(2))
        assert ran.status.checked_revision == f"refs/heads/main@{commit}, platform refs/heads/stable@{newer}"

    async def test_a_new_process_knows_what_was_applied(self) -> None:
        made = world(PROD, BASE, layers=LAYERS)
        await made.run()
        made.restart()
        ran = await made.run()
        assert (ran.quiet, ran.opened) == (True, [])
        assert dict(made._stored().revision.further)["platform"].commit == sources.commit_of(1)

    async def test_the_other_repository_being_away_leaves_all_as_it_is_and_heals(self) -> None:
        made = world(PROD, BASE, layers=LAYERS)
        await made.run()
        made.git.further[PLATFORM].error = SourceUnavailableError("the server does not answer")
        made.edit("ConfigMap/b", "data", "value", to="edited")
        assert (await made.heal()).writes == ["apply ConfigMap/b"]
        ran = await made.run()
        assert ran.writes == []
        assert ran.errors[0].facts["source"] == "platform"

    async def test_a_commit_of_another_repository_waits_for_its_window_and_the_last_is_healed(self) -> None:
        closed = {"kind": "deny", "schedule": "* * * * *", "duration": "1h"}
        made = world(PROD, BASE, layers=LAYERS)
        await made.run()
        made.spec(syncWindows=[closed])
        await made.run("spec")
        made.git.further[PLATFORM].push({**BASE, "base/b.yaml": m.config("b", "2")})
        ran = await made.run()
        assert (ran.writes, ran.ready) == ([], "SyncWindow")
        made.restart()
        made.edit("ConfigMap/b", "data", "value", to="edited")
        assert (await made.run()).writes == ["apply ConfigMap/b"]
        assert made.value("ConfigMap/b", "data", "value") == "1"
        made.spec(syncWindows=[])
        assert (await made.run("spec")).writes == ["apply ConfigMap/b"]
        assert made.value("ConfigMap/b", "data", "value") == "2"

    async def test_a_branch_that_was_rewritten_is_reported_of_any_repository(self) -> None:
        made = world(PROD, BASE, layers=LAYERS)
        await made.run()
        made.git.further[PLATFORM].force_push({**BASE, "base/b.yaml": m.config("b", "2")})
        ran = await made.run()
        assert ran.events.count("ForcedPush") == 1
        assert ran.writes == ["apply ConfigMap/b"]

    async def test_variables_and_encrypted_files_of_another_repository(self) -> None:
        platform = {**BASE, "vars.yaml": "DOMAIN: example.com\n", "base/db.yaml": encrypt(m.plain_secret())}
        made = world(
            {"prod/a.yaml": m.config(data="${DOMAIN}")},
            platform,
            layers=LAYERS,
            substitute={"files": ["platform/vars.yaml"]},
        )
        assert (await made.run()).problems == []
        assert made.value("ConfigMap/a", "data", "value") == "example.com"
        assert made.live("Secret/db") is not None

    async def test_an_artifact_beside_a_repository(self) -> None:
        oci = {"url": "oci://ghcr.io/example/platform", "tag": "stable"}
        made = world(PROD, BASE, layers=LAYERS, sources=[{"name": "platform", "oci": oci}])
        made.git.further[oci["url"]] = made.git.further.pop(PLATFORM)
        ran = await made.run()
        assert ran.problems == []
        assert made.value("ConfigMap/a", "data") == {"value": "prod", "more": "base"}
        assert f"platform stable@{short(sources.digest_of(1))}" in str(ran.status.revision)

    async def test_only_the_commit_that_moved_is_read_again(self) -> None:
        made = world(PROD, BASE, layers=LAYERS)
        await made.run()
        made.push({"prod/a.yaml": m.config(data="2")})
        await made.run()
        assert made.git.contents == ["prod/a.yaml"]
        assert made.git.further[PLATFORM].contents == []


class TestKeysAndSignatures:
    @pytest.mark.parametrize("at", ["platform", "own"])
    async def test_a_key_of_one_repository_opens_no_file_of_another(self, at: str) -> None:
        ciphertext = {"db.yaml": encrypt(m.plain_secret(), recipient="age1platform")}
        own = {f"prod/{path}": text for path, text in ciphertext.items() if at == "own"}
        platform = {f"base/{path}": text for path, text in ciphertext.items() if at == "platform"}
        made = world({**PROD, **own}, {**BASE, **platform}, layers=LAYERS)
        made.keys.granted["platform"] = {"age1platform"}
        ran = await made.run()
        assert (made.live("Secret/db") is not None) is (at == "platform")
        assert ("DataKey prod/db.yaml" in ran.problems) is (at == "own")

    async def test_each_repository_needs_its_signatures(self) -> None:
        rule = {"repositories": ["git.example.com/platform"], "sshSigners": "/etc/signers"}
        made = world(PROD, BASE, layers=LAYERS, operator=m.operator(git={"signatures": [rule]}))
        made.git.further[PLATFORM].signers[2] = UnsignedError("the commit has no signature")
        assert (await made.run()).problems == []
        assert [each.accepted for each in made.git.further[PLATFORM].demands] == [""]
        assert made.git.demands == []
        made.git.further[PLATFORM].push({**BASE, "base/b.yaml": m.config("b", "2")})
        ran = await made.run()
        assert ran.writes == []
        assert ran.errors[0].facts["source"] == "platform"
        made.restart()
        made.git.further[PLATFORM].push({**BASE, "base/b.yaml": m.config("b", "3")})
        await made.run()
        assert made.git.further[PLATFORM].demands[-1].accepted == sources.commit_of(1)


class TestWhatIsRefused:
    @pytest.mark.parametrize("layers", [["."], ["platform/base", "."]])
    async def test_a_folder_where_another_source_stands(self, layers: list[str]) -> None:
        made = world({**PROD, "platform/x.yaml": m.config("x")}, BASE, layers=layers)
        ran = await made.run()
        assert ran.writes == []
        assert isinstance(ran.errors[0], SourceError)
        assert ran.errors[0].facts["file"] == "platform/x.yaml"

    @pytest.mark.parametrize(
        "further",
        [
            [FURTHER, FURTHER],
            [{**FURTHER, "name": "a/b"}],
            [{**FURTHER, "name": ".."}],
            [{**FURTHER, "name": ""}],
            [{"name": "x"}],
            [{**FURTHER, "oci": {"url": "oci://ghcr.io/x", "tag": "1"}}],
            [{**FURTHER, "name": f"s{number}"} for number in range(9)],
        ],
    )
    def test_what_is_no_source(self, further: list[dict[str, object]]) -> None:
        made = Installation(sources=further)
        with pytest.raises(ManifestError):
            applications.parse(made.application)

    async def test_a_layer_does_not_leave_its_source(self) -> None:
        made = world({**PROD, "secret/s.yaml": m.config("s")}, BASE, layers=["platform/base"])
        assert "ConfigMap/s" not in str((await made.run()).writes)
