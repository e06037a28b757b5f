"""Artifacts of a real registry: found by digest, tag and version, in the layouts that people push, and kept."""

from __future__ import annotations

import dataclasses
import io
import secrets
import tarfile
from typing import TYPE_CHECKING

import pytest
from oci_sources import make_source

from agent.adapters.oci import credential
from agent.values.errors import LimitError, SourceError, SourceUnavailableError
from agent.values.secret import Secret
from testbed.proxy import Proxy
from testbed.registry import CHART, INDEX, MANIFEST, PLAIN, archive

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from agent.adapters.oci.artifacts import Artifacts
    from agent.engine.credentials import GitCredential
    from testbed.registry import Registry

FILES = {
    "base/web.yaml": "kind: Deployment\n",
    "base/.hidden.yaml": "kind: Secret\n",
    "envs/prod/web.yaml": "kind: Deployment\nspec: {}\n",
    "README.md": "text\n",
}


@pytest.fixture
def repository() -> str:
    return f"shop/deploy-{secrets.token_hex(4)}"


@pytest.fixture
def artifacts(registry: Registry, make_artifacts: Callable[..., Artifacts]) -> Artifacts:
    return make_artifacts(registry.host)


async def test_a_tag_of_fluxs_layout_is_read_as_a_commit_is(
    registry: Registry, artifacts: Artifacts, login: GitCredential, repository: str
) -> None:
    annotations = {
        "org.opencontainers.image.created": "2026-11-29T12:00:00Z",
        "org.opencontainers.image.revision": "main@sha1:1b2c3d",
    }
    digest = registry.push(repository, archive(FILES), "latest", annotations=annotations)
    source = make_source(registry.url(repository), ["base", "envs/prod"])
    assert await artifacts.head(source, login) == digest
    revision = await artifacts.fetch(source, login)
    assert (revision.commit, revision.ref, revision.subject) == (digest, "latest", "main@sha1:1b2c3d")
    assert revision.authored_at == 1795953600
    assert str(revision) == f"latest@{digest[:19]}"
    snapshot = await artifacts.files(source, login, digest)
    assert [(file.path, file.layer, file.data.decode()) for file in snapshot.files] == [
        ("base/web.yaml", 0, FILES["base/web.yaml"]),
        ("envs/prod/web.yaml", 1, FILES["envs/prod/web.yaml"]),
    ]
    tree = await artifacts.tree(source, login, digest)
    assert sorted(tree) == sorted(FILES)
    blob = tree["README.md"].blob
    assert await artifacts.blobs(source, login, digest, [blob]) == {blob: b"text\n"}


@pytest.mark.parametrize("kind", [PLAIN, CHART, "application/x-tar", "application/vnd.acme.tar+gzip"])
async def test_a_plain_archive_and_a_chart_are_taken_too(
    kind: str, registry: Registry, artifacts: Artifacts, login: GitCredential, repository: str
) -> None:
    content = archive({"a.yaml": "a: 1\n"})
    if kind == "application/x-tar":
        made = io.BytesIO()
        with tarfile.open(fileobj=made, mode="w") as tar:
            entry = tarfile.TarInfo("./a.yaml")
            entry.size = 5
            tar.addfile(entry, io.BytesIO(b"a: 1\n"))
        content = made.getvalue()
    registry.push(repository, content, "latest", media_type=kind)
    source = make_source(registry.url(repository))
    revision = await artifacts.fetch(source, login)
    files = (await artifacts.files(source, login, revision.commit)).files
    assert [(file.path, file.data) for file in files] == [("a.yaml", b"a: 1\n")]


async def test_the_newest_version_in_a_range_is_followed(
    registry: Registry, artifacts: Artifacts, login: GitCredential, repository: str
) -> None:
    content = archive({"a.yaml": "a: 1\n"})
    digest = registry.push(repository, content, "1.2.0", "1.2.9", "latest", "nightly")
    newer = registry.push(repository, archive({"a.yaml": "a: 2\n"}), "v1.10.0", "2.0.0-rc.1")
    source = make_source(registry.url(repository), semver="~1.2")
    assert (await artifacts.fetch(source, login)).ref == "1.2.9"
    assert await artifacts.head(source, login) == digest
    source = make_source(registry.url(repository), semver=">=1.2.0 <2.0.0")
    revision = await artifacts.fetch(source, login)
    assert (revision.commit, revision.ref) == (newer, "v1.10.0")
    source = make_source(registry.url(repository), semver=">=2.0.0")
    with pytest.raises(SourceError, match="no tag of the repository is a version in this range"):
        await artifacts.head(source, login)


async def test_a_digest_pins_and_a_tag_that_moves_is_followed(
    registry: Registry, artifacts: Artifacts, login: GitCredential, repository: str
) -> None:
    first = registry.push(repository, archive({"a.yaml": "a: 1\n"}), "latest")
    second = registry.push(repository, archive({"a.yaml": "a: 2\n"}), "latest")
    pinned, moving = make_source(registry.url(repository), digest=first), make_source(registry.url(repository))
    assert await artifacts.head(pinned, login) == first
    revision = await artifacts.fetch(pinned, login)
    assert (revision.commit, revision.ref, str(revision)) == (first, "", first[:19])
    assert [file.data for file in (await artifacts.files(pinned, login, first)).files] == [b"a: 1\n"]
    assert await artifacts.head(moving, login) == second
    assert await artifacts.is_ancestor(moving, login, first, second)


async def test_what_is_no_longer_on_disk_is_fetched_by_its_digest(
    registry: Registry, artifacts: Artifacts, login: GitCredential, repository: str
) -> None:
    digest = registry.push(repository, archive({"a.yaml": "a: 1\n"}), "latest")
    source = make_source(registry.url(repository))
    await artifacts.fetch(source, login)
    assert await artifacts._kept.sweep(-1) == 1
    assert [file.data for file in (await artifacts.files(source, login, digest)).files] == [b"a: 1\n"]


async def test_the_packs_of_a_repository_have_a_limit_together(
    registry: Registry, make_artifacts: Callable[..., Artifacts], login: GitCredential, repository: str
) -> None:
    artifacts = make_artifacts(registry.host, limits={"repositoryBytes": 1024 * 1024})
    source = make_source(registry.url(repository))
    for number in range(3):
        registry.push(repository, archive({"a.bin": bytes([number]) * 500_000}), "latest")
        await artifacts.fetch(source, login)
    assert len(list(artifacts._kept.directory.glob("*/*"))) == 2
    registry.push(repository, archive({"a.bin": b"x" * 1_100_000}), "latest")
    with pytest.raises(LimitError, match="larger than the agent accepts"):
        await artifacts.fetch(source, login)


async def test_a_login_is_needed_and_another_one_is_another_folder(
    registry: Registry, artifacts: Artifacts, login: GitCredential, repository: str
) -> None:
    registry.push(repository, archive({"a.yaml": "a: 1\n"}), "latest")
    source = make_source(registry.url(repository))
    revision = await artifacts.fetch(source, login)
    anonymous = dataclasses.replace(login, username="", password=None)
    wrong = dataclasses.replace(login, password=Secret("wrong", "test:password"))
    for other, message in ((anonymous, "asks for a login|refuses"), (wrong, "the registry refuses the credential")):
        with pytest.raises(SourceError, match=message):
            await artifacts.files(source, other, revision.commit)
    with pytest.raises(SourceError, match="certificate is not trusted"):
        await artifacts.head(source, None)


async def test_what_is_not_there_is_named(
    registry: Registry, artifacts: Artifacts, login: GitCredential, repository: str
) -> None:
    registry.push(repository, archive({"a.yaml": "a: 1\n"}), "latest")
    with pytest.raises(SourceError, match="no such artifact"):
        await artifacts.head(make_source(registry.url(repository), tag="other"), login)
    with pytest.raises(SourceError, match="does not allow this registry"):
        await artifacts.head(make_source("oci://ghcr.io/shop/deploy"), login)
    source = make_source(registry.url(repository), ["missing"])
    revision = await artifacts.fetch(source, login)
    with pytest.raises(SourceError, match="the artifact has no such folder"):
        await artifacts.files(source, login, revision.commit)


async def test_an_index_leads_to_its_only_manifest(
    registry: Registry, artifacts: Artifacts, login: GitCredential, repository: str
) -> None:
    one = registry.push(repository, archive({"a.yaml": "a: 1\n"}))
    two = registry.push(repository, archive({"a.yaml": "a: 2\n"}))
    sizes = {each: {"mediaType": MANIFEST, "digest": each, "size": 500} for each in (one, two)}
    registry.push_manifest(repository, {"schemaVersion": 2, "mediaType": INDEX, "manifests": [sizes[one]]}, "single")
    registry.push_manifest(repository, {"schemaVersion": 2, "mediaType": INDEX, "manifests": [*sizes.values()]}, "both")
    source = make_source(registry.url(repository), tag="single")
    revision = await artifacts.fetch(source, login)
    assert [file.data for file in (await artifacts.files(source, login, revision.commit)).files] == [b"a: 1\n"]
    with pytest.raises(SourceError, match="index of several manifests"):
        await artifacts.fetch(make_source(registry.url(repository), tag="both"), login)


async def test_an_image_is_no_artifact(
    registry: Registry, artifacts: Artifacts, login: GitCredential, repository: str
) -> None:
    layers = [registry.push_blob(repository, archive({f"{name}.yaml": "a: 1\n"}), PLAIN) for name in "ab"]
    config = registry.push_blob(repository, b"{}", "application/vnd.oci.image.config.v1+json")
    registry.push_manifest(
        repository, {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers}, "latest"
    )
    with pytest.raises(SourceError, match="no layer that the agent takes"):
        await artifacts.fetch(make_source(registry.url(repository)), login)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ('{"auths": {"ghcr.io": {"username": "a", "password": "b"}}}', "has none for this registry"),
        ('{"auths": {"HOST": {"identitytoken": "x"}}}', "holds no user name and password"),
        ('{"auths": {"HOST": {"auth": "!!"}}}', "holds no user name and password"),
        ("[]", "has none for this registry"),
    ],
)
def test_a_docker_configuration_that_does_not_serve_says_why(config: str, message: str) -> None:
    data = {".dockerconfigjson": Secret(config.replace("HOST", "registry.example.com"), "test:config")}
    with pytest.raises(SourceError, match=message):
        credential.of_secret(data, "registry.example.com")


@pytest.mark.parametrize(
    ("key", "host"),
    [
        ("https://index.docker.io/v1/", "docker.io"),
        ("registry.example.com:5000", "registry.example.com:5000"),
        ("https://registry.example.com/v2/", "registry.example.com"),
    ],
)
def test_the_entry_of_the_registry_is_found_as_docker_writes_it(key: str, host: str) -> None:
    config = '{"auths": {"other.example.com": {"username": "x", "password": "y"}, "KEY": {"auth": "dXNlcjpwOnc="}}}'
    found = credential.of_secret({".dockerconfigjson": Secret(config.replace("KEY", key), "test:config")}, host)
    assert found.username == "user"
    assert found.password == Secret("p:w", "test")


async def test_a_registry_is_reached_through_the_operators_proxy_unless_its_host_is_direct(
    registry: Registry, make_artifacts: Callable[..., Artifacts], login: GitCredential, repository: str
) -> None:
    digest = registry.push(repository, archive(FILES), "latest")
    source = make_source(registry.url(repository), ["base"])
    with Proxy() as proxy:
        artifacts = make_artifacts(registry.host, proxy={"url": proxy.url})
        assert await artifacts.head(source, login) == digest
        await artifacts.fetch(source, login)
        assert {*proxy.asked} == {registry.host}
        proxy.refuses = True
        with pytest.raises(SourceUnavailableError) as refused:
            await artifacts.head(source, login)
        assert refused.value.facts["proxy"] == proxy.url
        proxy.asked.clear()
        direct = make_artifacts(registry.host, proxy={"url": proxy.url, "direct": ["127.0.0.*", "localhost"]})
        assert await direct.head(source, login) == digest
        assert proxy.asked == []


async def test_a_proxy_with_a_password_gets_what_its_file_holds(
    registry: Registry, make_artifacts: Callable[..., Artifacts], login: GitCredential, repository: str, tmp_path: Path
) -> None:
    digest = registry.push(repository, archive(FILES), "latest")
    source = make_source(registry.url(repository), ["base"])
    file = tmp_path / "proxy"
    with Proxy("agent:p:w-canary") as proxy:
        artifacts = make_artifacts(registry.host, proxy={"url": proxy.url, "credentialsFile": str(file)})
        for content in (b"agent:old-canary", b"agent"):
            file.write_bytes(content)
            with pytest.raises(SourceUnavailableError) as refused:
                await artifacts.head(source, login)
            assert "canary" not in repr(refused.value)
            assert "proxy.credentialsFile" in refused.value.hint
        file.write_bytes(b"agent:p:w-canary\n")
        assert await artifacts.head(source, login) == digest
        await artifacts.fetch(source, login)


async def test_what_goes_through_a_proxy_in_the_clear_shows_it_the_password_too(
    make_artifacts: Callable[..., Artifacts], login: GitCredential, tmp_path: Path
) -> None:
    host = "registry.example.com:5000"
    source = make_source(f"oci://{host}/shop", ["base"])
    file = tmp_path / "proxy"
    with Proxy("agent:p:w-canary") as proxy:
        artifacts = make_artifacts(http=[host], proxy={"url": proxy.url, "credentialsFile": str(file)})
        file.write_text("agent:other")
        with pytest.raises(SourceUnavailableError) as refused:
            await artifacts.head(source, login)
        assert "proxy.credentialsFile" in refused.value.hint
        file.write_text("agent:p:w-canary")
        with pytest.raises(SourceUnavailableError) as passed:
            await artifacts.head(source, login)
        assert passed.value.facts["status"] == 502
        assert all(asked.startswith(f"http://{host}/") for asked in proxy.asked)
