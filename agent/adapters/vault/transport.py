"""A requests session for one server: what it answers is bounded, and nothing comes from the environment but what a user's proxy is."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from agent.adapters import proxies
from agent.adapters.vault.answer import NoAnswerError, Why
from agent.values.errors import SourceUnavailableError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import requests

    from agent.api.proxies import Proxy


def session(
    address: str,
    *,
    workers: int,
    verify: bool | str,
    certificate: tuple[str, str] | None = None,
    proxy: Proxy | None = None,
    environment: bool = False,
) -> requests.Session:
    """As many connections as workers, kept alive; no netrc or authority of the environment; no cookies.

    `verify` may be the PEM file of a private CA, or a folder of them; `certificate` is two PEM files, the client's and its key's. A `proxy`
    opens connections over TLS by CONNECT; it is the operator's, or with `environment` the user's HTTPS_PROXY, unless NO_PROXY has the host.
    """
    import http.cookiejar  # noqa: PLC0415

    import requests  # noqa: PLC0415

    from agent.adapters.bounds import answers  # noqa: PLC0415

    host = urlsplit(address).hostname or ""

    def shown() -> Mapping[str, str]:
        try:
            return proxies.request(proxy, host)[1] or {}
        except SourceUnavailableError:
            raise NoAnswerError(Why.PROXY_FILE) from None

    made = requests.Session()
    made.trust_env = False
    made.verify = verify
    made.cert = certificate
    made.cookies.set_policy(http.cookiejar.DefaultCookiePolicy(allowed_domains=[]))
    through = (
        proxy.of(host)
        if proxy is not None
        else requests.utils.get_environ_proxies(address).get("https", "")
        if environment
        else ""
    )
    if through:
        made.proxies = {"https": through}
    answers.mount(made, connections=workers, shown=shown if proxy is not None else None)
    return made
