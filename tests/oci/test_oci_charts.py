"""Charts of a real registry, and of a repository of charts as `helm repo index` writes it: versions, digests, and who is shown a login."""

from __future__ import annotations

import secrets
import subprocess
from typing import TYPE_CHECKING

import pytest
from oci_sources import digest_of, lying

from agent.adapters.oci import indexes
from agent.api.charts import ChartSource
from agent.api.model import validate
from agent.engine.credentials import GitCredential
from agent.values.errors import AgentError, ChartError, LimitError, SourceError, UnsignedError
from agent.values.secret import Secret
from testbed import binaries
from testbed.registry import CHART, archive

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from oci_sources import Liar

    from agent.adapters.oci.charts import Charts
    from testbed.registry import Registry

LOGIN = GitCredential("puller", Secret("canary-c4n4ry", "test:password"))


def packed(version: str, name: str = "shop") -> bytes:
    return archive({f"{name}/Chart.yaml": f"name: {name}\nversion: {version}\n", f"{name}/templates/a.yaml": "a: 1\n"})


def chart(**fields: object) -> ChartSource:
    return validate(ChartSource, fields)  # pyright: ignore[reportArgumentType]


def entry(version: str, content: bytes, url: str) -> str:
    return f"""\
  - apiVersion: v2
    created: "2026-11-29T12:00:00.000000000Z"
    description: |
      several
      entries:
    digest: {digest_of(content).removeprefix("sha256:")}
    name: shop
    urls:
    - {url}
    version: {version}
"""


def index(*entries: str) -> str:
    other = entry("9.9.9", b"", "other.tgz")
    return f"apiVersion: v1\nentries:\n  other:\n{other}  shop:\n{''.join(entries)}  zeta:\n{other}generated: now\n"


class TestOfARegistry:
    @pytest.fixture
    def repository(self) -> str:
        return f"charts/shop-{secrets.token_hex(4)}"

    async def test_a_version_a_range_and_a_digest_name_a_chart(
        self, registry: Registry, make_charts: Callable[..., Charts], login: GitCredential, repository: str
    ) -> None:
        first = registry.push(repository, packed("1.2.0"), "1.2.0", media_type=CHART)
        built = registry.push(repository, packed("1.3.0+b1"), "1.3.0_b1", media_type=CHART)
        charts, url = make_charts(registry.host), registry.url(repository)
        for asked, digest, version in (
            (chart(oci=url, version="1.2.0"), first, "1.2.0"),
            (chart(oci=url, version="~1.2"), first, "1.2.0"),
            (chart(oci=url, version="1.3.0+b1"), built, "1.3.0+b1"),
            (chart(oci=url, digest=first), first, ""),
            (chart(oci=url, version="1.2.0", digest=first), first, ""),
        ):
            found = await charts.find(asked, login)
            assert (found.digest, found.version) == (digest, version)
        tree = await charts.tree(asked, login, found)
        assert sorted(tree) == ["shop/Chart.yaml", "shop/templates/a.yaml"]
        blob = tree["shop/templates/a.yaml"].blob
        assert await charts.blobs(asked, login, found, [blob]) == {blob: b"a: 1\n"}

    async def test_a_chart_needs_the_signature_that_the_operator_asks_for(
        self, registry: Registry, make_charts: Callable[..., Charts], login: GitCredential, repository: str, tmp_path
    ) -> None:
        registry.push(repository, packed("1.2.0"), "1.2.0", media_type=CHART)
        (key := tmp_path / "cosign.pub").write_text(
            "-----BEGIN PUBLIC KEY-----\n"
            "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n"
            "-----END PUBLIC KEY-----\n"
        )
        rule = {"repositories": ["*"], "keys": [str(key)]}
        with pytest.raises(UnsignedError):
            await make_charts(registry.host, signatures=[rule]).find(
                chart(oci=registry.url(repository), version="1.2.0"), login
            )


class TestOfARepository:
    @pytest.fixture
    def served(self, liar: Liar) -> dict[str, bytes]:
        """What the server has, by path; everything asks for the login."""
        files: dict[str, bytes] = {}

        def says(path: str) -> tuple[int, dict[str, str], bytes]:
            if not liar.asked[-1][1].startswith("Basic "):
                return 401, {"WWW-Authenticate": "Basic"}, b""
            return (200, {}, files[path]) if path in files else (404, {}, b"")

        liar.says = says
        return files

    def asked(self, liar: Liar, **fields: object) -> ChartSource:
        return chart(repository=f"http://{liar.host}/stable", name="shop", **{"version": ">=1.0.0 <2.0.0", **fields})

    async def test_the_newest_version_in_a_range_is_fetched_with_the_login_from_its_host(
        self, liar: Liar, served: dict[str, bytes], make_charts: Callable[..., Charts]
    ) -> None:
        content = packed("1.10.0")
        entries = (entry("2.0.0", b"", "x.tgz"), entry("1.2.0", b"", "y.tgz"), entry("1.10.0", content, "shop.tgz"))
        served["/stable/index.yaml"] = index(*entries).encode()
        served["/stable/shop.tgz"] = content
        charts = make_charts(http=[liar.host])
        asked = self.asked(liar, digest=digest_of(content))
        found = await charts.find(asked, LOGIN)
        assert (found.version, found.digest) == ("1.10.0", digest_of(content))
        assert sorted(await charts.tree(asked, LOGIN, found)) == ["shop/Chart.yaml", "shop/templates/a.yaml"]
        with pytest.raises(SourceError, match="refuses the login, or asks for one"):
            await charts.find(asked, None)

    async def test_a_repository_that_is_not_allowed_is_called_so(
        self, liar: Liar, make_charts: Callable[..., Charts]
    ) -> None:
        with pytest.raises(SourceError, match="the operator does not allow this repository of charts") as caught:
            await make_charts(http=["charts.example.com"]).find(self.asked(liar), LOGIN)
        assert caught.value.facts["repository"] == f"http://{liar.host}/stable"
        assert not liar.asked

    async def test_an_archive_elsewhere_is_asked_for_without_the_login_and_only_on_allowed_hosts(
        self, liar: Liar, served: dict[str, bytes], make_charts: Callable[..., Charts]
    ) -> None:
        content = packed("1.0.0")
        with lying() as storage:
            storage.says = lambda _: (200, {}, content)
            served["/stable/index.yaml"] = index(entry("1.0.0", content, f"http://{storage.host}/shop.tgz")).encode()
            asked = self.asked(liar)
            found = await make_charts(http=[liar.host]).find(asked, LOGIN)
            with pytest.raises(SourceError, match="which the operator does not allow"):
                await make_charts(http=[liar.host]).tree(asked, LOGIN, found)
            assert not storage.asked
            await make_charts(http=[liar.host, storage.host]).tree(asked, LOGIN, found)
            assert [authorization for _, authorization in storage.asked] == [""]

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b"", "has no such chart"),
            (b"entries:\n", "has no such chart"),
            (b"entries:\n  shop: []\n", "no such chart"),
            (b"entries:\n  shop:\n", "no such chart"),
            (b"entries:\n  shop:\n  - {{\n", "cannot be read"),
            (b"entries:\n  shop:\n  - version: 1.0.0\n    urls: [a.tgz]\n", "no digest or no address"),
            (b"entries:\n  shop:\n  - version: 1.0.0\n    digest: " + b"0" * 64 + b"\n", "no digest or no address"),
            (b"entries:\n  shop:\n  - version: 3.0.0\n", "no version of the chart in this range"),
            (b"entries:\n  shop:\n  - *x\n", "cannot be read"),
            (b"\xff\xfe", "has no such chart"),
        ],
    )
    def test_an_index_that_does_not_serve_is_refused(self, liar: Liar, content: bytes, message: str) -> None:
        with pytest.raises(ChartError, match=message):
            indexes.choose(content, self.asked(liar))

    async def test_what_is_larger_or_other_than_it_should_be_is_refused(
        self, liar: Liar, served: dict[str, bytes], make_charts: Callable[..., Charts]
    ) -> None:
        content = packed("1.0.0")
        served["/stable/index.yaml"] = index(entry("1.0.0", content, "shop.tgz")).encode()
        charts, asked = make_charts(http=[liar.host]), self.asked(liar)
        found = await charts.find(asked, LOGIN)
        served["/stable/shop.tgz"] = packed("1.0.1")
        with pytest.raises(SourceError, match="not what its digest says"):
            await charts.tree(asked, LOGIN, found)
        with pytest.raises(ChartError, match="another digest than the spec says"):
            await charts.find(self.asked(liar, digest=f"sha256:{'0' * 64}"), LOGIN)
        lines = "".join(entry(f"1.0.{number}", content, "shop.tgz") for number in range(20_000))
        served["/stable/index.yaml"] = index(lines).encode()
        with pytest.raises(LimitError, match="more of the chart than the agent reads"):
            await charts.find(asked, LOGIN)
        served["/stable/index.yaml"] = b"#" * (indexes.LARGEST + 1)
        with pytest.raises(AgentError, match="larger than the agent accepts"):
            await charts.find(asked, LOGIN)


class TestOfHelmItself:
    @pytest.fixture
    def package(self, tmp_path: Path) -> Path:
        """What `helm package` makes of what `helm create` makes."""
        self.helm(tmp_path, "create", "shop")
        self.helm(tmp_path, "package", "shop", "--version", "1.4.0+build.7")
        return tmp_path / "shop-1.4.0+build.7.tgz"

    def helm(self, folder: Path, *arguments: str) -> None:
        home = {"HELM_CACHE_HOME": "cache", "HELM_CONFIG_HOME": "config", "HELM_DATA_HOME": "data", "HOME": str(folder)}
        command = [str(binaries.path("helm")), *arguments]
        done = subprocess.run(command, cwd=folder, env=home, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    async def test_what_helm_pushes_is_found_and_unpacked(
        self,
        registry: Registry,
        make_charts: Callable[..., Charts],
        login: GitCredential,
        package: Path,
    ) -> None:
        (package.parent / "ca.crt").write_text(registry.ca_pem)
        repository = f"charts-{secrets.token_hex(4)}"
        self.helm(
            package.parent, "push", package.name, registry.url(repository), "--ca-file", "ca.crt",
            "--username", registry.username, "--password", registry.password,
        )  # fmt: skip
        charts = make_charts(registry.host)
        for version in ("1.4.0+build.7", ">=1.0.0 <2.0.0"):
            asked = chart(oci=registry.url(f"{repository}/shop"), version=version)
            found = await charts.find(asked, login)
            assert found.version == "1.4.0+build.7"
            assert "shop/templates/deployment.yaml" in await charts.tree(asked, login, found)

    async def test_the_index_that_helm_writes_is_read(
        self, liar: Liar, make_charts: Callable[..., Charts], package: Path
    ) -> None:
        self.helm(package.parent, "package", "shop", "--version", "1.3.0")
        self.helm(package.parent, "create", "another")
        self.helm(package.parent, "package", "another")
        self.helm(package.parent, "repo", "index", ".")
        files = {
            f"/{each.name}": each.read_bytes()
            for each in (*package.parent.glob("*.tgz"), package.parent / "index.yaml")
        }
        liar.says = lambda path: (200, {}, files[path.replace("%2B", "+")])
        charts = make_charts(http=[liar.host])
        for version, expected in (("1.x", "1.4.0+build.7"), ("~1.3", "1.3.0")):
            asked = chart(repository=f"http://{liar.host}", name="shop", version=version)
            found = await charts.find(asked, None)
            assert (found.version, found.digest) == (expected, digest_of(files[f"/shop-{expected}.tgz"]))
            assert "shop/templates/deployment.yaml" in await charts.tree(asked, None, found)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"path": "chart", "version": "1.0.0"},
        {"path": "chart", "oci": "oci://ghcr.io/charts/shop", "version": "1.0.0"},
        {"oci": "oci://ghcr.io/charts/shop"},
        {"oci": "oci://ghcr.io/charts/shop", "name": "shop", "version": "1.0.0"},
        {"repository": "https://charts.example.com", "version": "1.0.0"},
        {"repository": "https://charts.example.com", "name": "shop"},
        {"repository": "https://user:x@charts.example.com", "name": "shop", "version": "1.0.0"},
        {"repository": "https://charts.example.com/a/../b", "name": "shop", "version": "1.0.0"},
        {"repository": "https://charts.example.com?x", "name": "shop", "version": "1.0.0"},
        {"repository": "file:///etc", "name": "shop", "version": "1.0.0"},
    ],
)
def test_half_a_name_of_a_chart_is_refused(fields: Mapping[str, object]) -> None:
    with pytest.raises(Exception, match=r"give|must be"):
        chart(**fields)
