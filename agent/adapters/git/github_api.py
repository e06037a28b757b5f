"""Asking GitHub for a token: one POST to a host that the operator allows, without redirects, in bounded time and of bounded size."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import re
import ssl
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import aiohttp
import yarl

from agent.adapters import proxies
from agent.adapters.bounds import bodies
from agent.adapters.git import addresses, credential
from agent.adapters.sockets import Sockets
from agent.values.errors import ConfigError, LimitError, SourceError, SourceUnavailableError
from agent.values.tree import get_object, get_text

if TYPE_CHECKING:
    from agent.api.operator import GitSettings
    from agent.engine.credentials import GitCredential, GitHubApp

LARGEST: Final = 64 * 1024
"""Bytes of an answer."""
_SECONDS: Final = 30
"""For all of it, unless one command of git has less."""
_TOKEN: Final = re.compile(r"[!-~]{1,4096}", re.ASCII)
_CREATED: Final = 201

# what this writes at debug level holds headers
logging.getLogger("aiohttp").setLevel(logging.WARNING)


async def ask(login: GitCredential, app: GitHubApp, settings: GitSettings, now: float) -> tuple[GitCredential, float]:
    """What Git is asked with, and until when, in Unix time. Raises SourceError, SourceUnavailableError, LimitError, ConfigError."""
    host = urlsplit(app.tokens).netloc
    try:
        addresses.check(app.tokens, settings)
    except SourceError:
        raise SourceError(
            "the operator does not allow the host that hands out tokens of the GitHub App",
            hint="add the host to git.allowedHosts in the operator's file",
            host=host,
        ) from None
    trusted = await asyncio.to_thread(_context, settings.ca_file, login.ca_pem)
    authorization = await asyncio.to_thread(credential.authorization, app, now)
    try:
        async with asyncio.timeout(min(_SECONDS, settings.timeout_seconds)):
            status, body = await _post(app.tokens, authorization, trusted, settings)
    except aiohttp.ClientConnectorCertificateError:
        failure = SourceError(
            "the certificate of GitHub's API is not trusted",
            hint="set the CA's PEM as ca.crt in the credentials Secret, or as git.caFile in the operator's file",
            host=host,
        )
    except aiohttp.ClientHttpProxyError as refused:
        failure = proxies.refusal(refused.status)
    except (aiohttp.ClientError, OSError, ValueError):
        failure = SourceUnavailableError("GitHub's API cannot be reached, or does not answer in time", host=host)
    else:
        if status != _CREATED:
            raise _refusal(status, host)
        if len(body) > LARGEST:
            raise LimitError("the answer of GitHub's API is larger than the agent accepts", host=host, limit=LARGEST)
        return _login(login, body, host)
    raise failure


async def _post(url: str, authorization: str, trusted: ssl.SSLContext, settings: GitSettings) -> tuple[int, bytes]:
    """Status and body of the answer, of which no more is read than shows that it is too large."""
    given = yarl.URL(url, encoded=True)
    proxy, shown = proxies.request(settings.proxy, given.host or "")
    headers = {
        "Accept": "application/vnd.github+json",
        "Accept-Encoding": "identity",
        "Authorization": authorization,
        "User-Agent": "signet",
        "X-GitHub-Api-Version": "2022-11-28",
    }
    async with (
        Sockets() as sockets,
        aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=trusted, socket_factory=sockets.open),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
            timeout=aiohttp.ClientTimeout(total=None),
        ) as http,
        http.post(given, headers=headers, allow_redirects=False, proxy=proxy, proxy_headers=shown) as response,
    ):
        body = bytearray()
        async for piece in response.content.iter_any():
            body += piece
            if len(body) > LARGEST:
                response.close()
                break
        return response.status, bytes(body)


def _login(login: GitCredential, body: bytes, host: str) -> tuple[GitCredential, float]:
    found = get_object(bodies.tree(body))
    token = get_text(found, "token")
    try:
        until = dt.datetime.fromisoformat(get_text(found, "expires_at") or "")
    except ValueError:
        until = None
    if _TOKEN.fullmatch(token or "") is None or until is None or until.tzinfo is None:
        raise SourceUnavailableError("the answer of GitHub's API holds no token and its end", host=host)
    return credential.handed_out(login, token), until.timestamp()


def _refusal(status: int, host: str) -> SourceError:
    match status:
        case 401:
            return SourceError(
                "GitHub does not accept what its App signed",
                hint="check githubAppID, that githubAppPrivateKey is a key of that App, and the clock of the agent's node",
                host=host,
            )
        case 404:
            return SourceError(
                "GitHub has no such installation of its App",
                hint="check githubAppInstallationID, and that the App is still installed",
                host=host,
            )
        case _:
            return SourceUnavailableError(
                "GitHub's API hands out no token",
                hint="status 403 stands for too many requests, or for an installation that is suspended",
                status=status,
                host=host,
            )


def _context(ca_file: str | None, ca_pem: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cadata=ca_pem) if ca_pem else ssl.create_default_context(cafile=ca_file)
    except (ssl.SSLError, OSError, ValueError):
        if ca_pem:
            failure = SourceError("ca.crt of the credentials holds no certificate", hint="it takes PEM", field="ca.crt")
        else:
            failure = ConfigError(
                "the file of authorities for Git cannot be read", hint="git.caFile names it", path=ca_file or ""
            )
    raise failure
