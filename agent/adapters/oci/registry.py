"""One repository of a registry, by the distribution specification: tags, manifests and blobs, each digest verified.

https://github.com/opencontainers/distribution-spec, and the token protocol of https://distribution.github.io/distribution/spec/auth/
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urljoin

from agent.adapters.bounds import bodies
from agent.adapters.oci import addresses, credential, layout
from agent.adapters.oci.client import Asked, Client
from agent.values.errors import LimitError, SourceError, SourceUnavailableError
from agent.values.tree import get

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from agent.adapters.oci.addresses import Address
    from agent.adapters.oci.client import Answer
    from agent.adapters.oci.layout import Descriptor, Manifest
    from agent.api.registries import RegistrySettings, Servers
    from agent.engine.credentials import GitCredential
    from agent.values.secret import Secret
    from agent.values.tree import Tree

_MANIFEST: Final = 4 * 1024 * 1024
"""Bytes, as many as registries have to take."""
_UNKNOWN: Final = frozenset({400, 404, 405, 501})
"""What registries answer that cannot list referrers; 404 is also of a tag that is not there."""
_PAGE: Final = 1024 * 1024
_PAGES: Final = 200
_TAGS: Final = 20_000
_TOKEN: Final = 64 * 1024
_CHALLENGE: Final = re.compile(r'\b([A-Za-z_]+)="([^"]*)"')
_TAG: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_NEXT: Final = re.compile(r'<([^<>]*)>\s*;\s*rel="?next"?', re.IGNORECASE)


class Registry:
    """As one identity, for one operation. A token that it is given serves all its requests."""

    def __init__(self, client: Client, address: Address, login: GitCredential | None) -> None:
        self._client: Final = client
        self._address: Final = address
        self._login: Final = login
        self._authorization: Secret | None = None

    async def digest(self, tag: str) -> str:
        """The digest of the manifest that a tag names now, as the registry says: a fetch by it verifies it. Raises SourceError."""
        answer = await self._get(f"manifests/{tag}", most=_MANIFEST, accept=layout.ACCEPTED, method="HEAD")
        found = answer.headers.get("Docker-Content-Digest", "")
        if layout.is_digest(found):
            return found
        answer = await self._get(f"manifests/{tag}", most=_MANIFEST, accept=layout.ACCEPTED)
        return _sha256(answer.body)

    async def manifest(self, digest: str) -> Manifest:
        """The manifest, or the one that it leads to. Raises SourceError, LimitError."""
        for _ in range(2):
            answer = await self._get(f"manifests/{digest}", most=_MANIFEST, accept=layout.ACCEPTED)
            if _sha256(answer.body) != digest:
                raise differs(digest, self._address.url)
            found = layout.parse(await self._tree(answer.body))
            if isinstance(found, layout.Manifest):
                return found
            digest = found.digest
        raise SourceError("the artifact is an index of indexes", hint="push a manifest", repository=self._address.url)

    async def find(self, tag: str) -> Manifest | None:
        """The manifest that a tag names now; None where there is no such tag. Raises SourceError, LimitError."""
        answer = await self._answer(Asked(self._url(f"manifests/{tag}"), _MANIFEST, layout.MANIFEST))
        if answer.status == 404:
            return None
        found = layout.parse(await self._tree(answer.body)) if answer.status == 200 else None
        if not isinstance(found, layout.Manifest):
            raise self._unexpected(answer.status)
        return found

    async def referrers(self, digest: str) -> tuple[Descriptor, ...]:
        """Manifests that refer to an artifact: as the registry lists them, else under the tag that stands for such a list.

        Raises SourceError, SourceUnavailableError, LimitError.
        """
        for path in (f"referrers/{digest}", f"manifests/{digest.replace(':', '-')}"):
            answer = await self._answer(Asked(self._url(path), _MANIFEST, layout.INDEX))
            if answer.status == 200:
                return layout.referrers(await self._tree(answer.body))
            if answer.status not in _UNKNOWN:
                raise self._unexpected(answer.status)
        return ()

    async def blob(self, blob: Descriptor, sink: Callable[[bytes], object], *, most: int) -> None:
        """Hand a blob's bytes to `sink`, piece by piece. What was handed over counts only once this returns. Raises SourceError, LimitError."""
        if blob.size > most:
            raise LimitError(
                "the artifact is larger than the agent accepts",
                hint="limits.artifactBytes in the operator's file is the limit",
                repository=self._address.url,
                bytes=blob.size,
                limit=most,
            )
        verified = Verified(sink, blob.digest, blob.size, url=self._address.url)
        await self._get(f"blobs/{blob.digest}", most=blob.size, sink=verified.take)
        verified.finish()

    async def tags(self) -> list[str]:
        """Every tag. Raises SourceError, LimitError.

        Pages are followed by `Link` and their length is not asked for: some registries cut a list at the number asked for, and name no next page.
        """
        found: list[str] = []
        count, url = 0, self._url("tags/list")
        for _ in range(_PAGES):
            answer = await self._at(url, most=_PAGE)
            tags = get(await self._tree(answer.body), "tags")
            named = tags if isinstance(tags, list) else []
            count += len(named)
            if count > _TAGS:
                break
            found += [tag for tag in named if isinstance(tag, str) and _TAG.fullmatch(tag)]
            following = _NEXT.search(answer.headers.get("Link", ""))
            if following is None:
                return found
            url = urljoin(answer.url, following[1])
            if addresses.origin_of(url) != addresses.origin_of(self._address.origin):
                raise SourceError("the registry's list of tags leads to another server", repository=self._address.url)
        raise LimitError(
            "the repository has more tags than the agent looks through",
            hint="name a tag or a digest instead of a range",
            repository=self._address.url,
            limit=_TAGS,
        )

    def _url(self, path: str) -> str:
        return f"{self._address.origin}/v2/{self._address.repository}/{path}"

    async def _get(
        self,
        path: str,
        *,
        most: int,
        accept: str = "*/*",
        method: str = "GET",
        sink: Callable[[bytes], object] | None = None,
    ) -> Answer:
        return await self._at(self._url(path), most=most, accept=accept, method=method, sink=sink)

    async def _at(
        self,
        url: str,
        *,
        most: int,
        accept: str = "*/*",
        method: str = "GET",
        sink: Callable[[bytes], object] | None = None,
    ) -> Answer:
        """A 200. Raises SourceError, SourceUnavailableError, LimitError."""
        answer = await self._answer(Asked(url, most, accept, method=method), sink)
        if answer.status == 200:
            return answer
        if answer.status in {401, 403}:
            raise SourceError(
                "the registry refuses the credential" if self._login else "the registry asks for a login",
                hint="check spec.source.oci.credentials, and what it may read",
                repository=self._address.url,
            )
        if answer.status == 404:
            raise SourceError(
                "no such artifact, or the credential has no access to it",
                hint="check spec.source.oci: url, and tag or digest",
                repository=self._address.url,
            )
        raise self._unexpected(answer.status)

    def _unexpected(self, status: int) -> SourceUnavailableError:
        return SourceUnavailableError(
            "the registry's answer is none that a registry gives", status=status, repository=self._address.url
        )

    async def _answer(self, asked: Asked, sink: Callable[[bytes], object] | None = None) -> Answer:
        """Whatever the registry says. The first refusal says how to log in."""
        try:
            answer = await self._client.get(replace(asked, authorization=self._authorization), sink)
            if answer.status == 401 and self._authorization is None:
                self._authorization = await self._authorize(answer.headers.get("WWW-Authenticate", ""))
                if self._authorization is not None:
                    answer = await self._client.get(replace(asked, authorization=self._authorization), sink)
        except (LimitError, SourceError) as error:
            raise error.with_facts(repository=self._address.url) from None
        return answer

    async def _authorize(self, challenge: str) -> Secret | None:
        """What the next requests show: a token of the server that the challenge names, which the operator has to allow, or the login itself."""
        login = credential.basic(self._login) if self._login is not None and self._login.username else None
        scheme, _, rest = challenge.partition(" ")
        if scheme.lower() != "bearer":
            return login
        named = dict(_CHALLENGE.findall(rest[:4096]))
        realm = named.get("realm", "")
        if addresses.origin_of(realm) is None or "?" in realm or "#" in realm:
            raise SourceError("the registry names no server for tokens that can be asked")
        service, scope = (
            quote(named.get("service", ""), safe=""),
            quote(f"repository:{self._address.repository}:pull", safe=""),
        )
        answer = await self._client.get(
            Asked(f"{realm}?service={service}&scope={scope}", _TOKEN, "application/json", login)
        )
        token = credential.bearer(answer.body) if answer.status == 200 else None
        if token is None:
            raise SourceError(
                "the registry's token server refuses the credential"
                if login is not None
                else "the registry asks for a login",
                hint="check spec.source.oci.credentials, and what it may read",
            )
        return token

    async def _tree(self, body: bytes) -> Tree:
        try:
            return await asyncio.to_thread(bodies.tree, body)
        except bodies.TooLargeError:
            raise LimitError(
                "the registry's answer has more values than the agent accepts",
                repository=self._address.url,
                limit=bodies.VALUES,
            ) from None


class Verified:
    """Hands pieces to `sink`, and says at the end whether they were what the digest, and the size where it is known, say."""

    def __init__(self, sink: Callable[[bytes], object], digest: str, size: int | None = None, *, url: str) -> None:
        self._sink: Final = sink
        self._digest: Final = digest
        self._size: Final = size
        self._url: Final = url
        self._hashed: Final = hashlib.sha256()
        self._count: int = 0

    def take(self, piece: bytes) -> None:
        """Raises SourceError for more than there should be."""
        self._count += len(piece)
        if self._size is not None and self._count > self._size:
            raise differs(self._digest, self._url)
        self._hashed.update(piece)
        self._sink(piece)

    def finish(self) -> None:
        """Raises SourceError."""
        if self._size not in {None, self._count} or f"sha256:{self._hashed.hexdigest()}" != self._digest:
            raise differs(self._digest, self._url)


def differs(digest: str, url: str) -> SourceError:
    """What is said of bytes that have another digest."""
    return SourceError(
        "what the registry sends is not what its digest says",
        hint="something between the agent and the registry changes its answers, or it is damaged",
        repository=url,
        digest=digest,
    )


def check(url: str, settings: RegistrySettings) -> None:
    """Raises SourceError where the operator does not allow the registry."""
    _ = addresses.check(url, settings)


@asynccontextmanager
async def opened(settings: RegistrySettings, url: str, login: GitCredential | None) -> AsyncGenerator[Registry]:
    """A registry that has so long for all that is asked of it. Raises SourceError, SourceUnavailableError."""
    address = addresses.check(url, settings)
    async with in_time(settings, url), Client(settings, ca_pem=login.ca_pem if login else "") as client:
        yield Registry(client, address, login)


@asynccontextmanager
async def in_time(settings: Servers, url: str) -> AsyncGenerator[None]:
    """Raises SourceUnavailableError where what is done within takes longer than the operator's file says."""
    try:
        async with asyncio.timeout(settings.timeout_seconds):
            yield
            return
    except TimeoutError:
        pass
    raise SourceUnavailableError(
        "the registry did not answer in time",
        hint="timeoutSeconds of oci and of charts in the operator's file are the limits",
        repository=url,
    )


def _sha256(body: bytes) -> str:
    return f"sha256:{hashlib.sha256(body).hexdigest()}"
