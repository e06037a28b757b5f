"""The engine's ChartPort: charts of registries and of repositories over HTTP, kept unpacked by digest."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, BinaryIO, Final

from agent.adapters.oci import addresses, artifacts, credential, registry
from agent.adapters.oci.client import Asked, Client
from agent.api.registries import OciSource
from agent.manifests.charts import FoundChart
from agent.values.errors import ChartError, SourceError, SourceUnavailableError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from agent.adapters.oci.artifacts import Artifacts
    from agent.adapters.oci.client import Answer
    from agent.adapters.oci.keeping import Kept
    from agent.adapters.oci.packs import Pack
    from agent.api.charts import ChartSource
    from agent.api.operator import Limits
    from agent.api.registries import RegistrySettings, Servers
    from agent.engine.credentials import GitCredential
    from agent.manifests.documents import TreeEntry


class Charts:
    """Of the servers that the operator allows, kept in `kept`."""

    def __init__(
        self, kept: Kept, artifacts: Artifacts, registries: RegistrySettings, repositories: Servers, limits: Limits
    ) -> None:
        self._kept: Final = kept
        self._artifacts: Final = artifacts
        self._registries: Final = registries
        self._repositories: Final = repositories
        self._limits: Final = limits

    async def find(self, chart: ChartSource, login: GitCredential | None) -> FoundChart:
        """Which chart it is now. Raises SourceError, SourceUnavailableError, ChartError, LimitError, SignatureError."""
        if chart.oci is None:
            found = await self._listed(chart, login)
        else:
            found = await self._tagged(_oci(chart), login)
        if chart.digest not in {None, found.digest}:
            raise ChartError(
                "the chart of this version has another digest than the spec says",
                hint="find out who changed it; then take over the digest that is found",
                chart=chart.shown,
                version=found.version,
                found=found.digest,
            )
        return found

    async def tree(self, chart: ChartSource, login: GitCredential | None, found: FoundChart) -> Mapping[str, TreeEntry]:
        """Every path of its archive, which has the chart in a folder of its name."""
        return (await self._pack(chart, login, found)).tree

    async def blobs(
        self, chart: ChartSource, login: GitCredential | None, found: FoundChart, blobs: Collection[str]
    ) -> Mapping[str, bytes]:
        """Contents of files that `tree` named."""
        pack = await self._pack(chart, login, found)
        return await self._kept.in_thread(lambda: pack.read(blobs))

    async def _tagged(self, asked: OciSource, login: GitCredential | None) -> FoundChart:
        rule = next((each for each in self._registries.signatures if each.serves(asked.url)), None)
        async with registry.opened(self._registries, asked.url, login) as opened:
            tag, digest = await artifacts.named(asked, opened, plus="_")
            if rule is not None:
                from agent.adapters.oci import cosign, signers  # noqa: PLC0415  # loaded with the first signature

                keys = await self._kept.in_thread(lambda: signers.load(rule.keys))
                _ = await cosign.verify(opened, digest, keys)
        return FoundChart(digest, tag.replace("_", "+"))

    async def _listed(self, chart: ChartSource, login: GitCredential | None) -> FoundChart:
        from agent.adapters.oci import indexes  # noqa: PLC0415  # loaded with the first index

        addresses.check_charts(chart.url, self._repositories)
        url = f"{chart.url.rstrip('/')}/index.yaml"
        async with (
            registry.in_time(self._repositories, chart.url),
            Client(self._repositories, ca_pem=login.ca_pem if login else "") as client,
        ):
            answer = await self._get(client, chart, login, Asked(url, indexes.LARGEST))
        archived = await self._kept.in_thread(lambda: indexes.choose(answer.body, chart))
        return FoundChart(archived.digest, archived.version, archived.url)

    async def _pack(self, chart: ChartSource, login: GitCredential | None, found: FoundChart) -> Pack:
        if chart.oci is not None:
            return await self._artifacts.pack(_oci(chart), login, found.digest)

        async def download(file: BinaryIO) -> None:
            verified = registry.Verified(file.write, found.digest, url=chart.shown)
            async with (
                registry.in_time(self._repositories, chart.url),
                Client(self._repositories, ca_pem=login.ca_pem if login else "") as client,
            ):
                await self._get(client, chart, login, Asked(found.url, self._limits.artifact_bytes), verified)
            verified.finish()

        return await self._kept.pack(self._kept.folder(chart.url, login, found.digest), chart.shown, download)

    async def _get(
        self,
        client: Client,
        chart: ChartSource,
        login: GitCredential | None,
        asked: Asked,
        verified: registry.Verified | None = None,
    ) -> Answer:
        """A 200. The login goes to the repository's own host alone, wherever its index says that an archive is."""
        own = addresses.origin_of(asked.url) == addresses.origin_of(chart.url)
        if own and login is not None and login.username:
            asked = replace(asked, authorization=credential.basic(login))
        answer = await client.get(asked, verified.take if verified is not None else None)
        if answer.status == 200:
            return answer
        if answer.status in {401, 403}:
            raise SourceError(
                "the repository of charts refuses the login, or asks for one",
                hint="check spec.render.helm.chart.credentials",
                repository=chart.url,
            )
        if answer.status == 404:
            raise SourceError(
                "the repository of charts has no index.yaml, or not the archive that it names",
                hint="check spec.render.helm.chart.repository",
                repository=chart.url,
            )
        raise SourceUnavailableError(
            "the answer is none that a repository of charts gives", status=answer.status, repository=chart.url
        )


def _oci(chart: ChartSource) -> OciSource:
    """By digest where one is given: the version then says nothing more."""
    assert chart.oci is not None
    if chart.digest is not None:
        return OciSource.model_construct(url=chart.oci, digest=chart.digest, tag=None, semver=None)
    wanted = (chart.version or "").replace("+", "_")
    if wanted[:1].isdigit() and wanted.count(".") >= 2 and not {*wanted} & {*" ,|*xX<>"}:
        return OciSource.model_construct(url=chart.oci, digest=None, tag=wanted, semver=None)
    return OciSource.model_construct(url=chart.oci, digest=None, tag=None, semver=chart.version)
