"""A requests session for one server: what it answers is bounded, and nothing comes from the environment."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import requests


def session(
    *,
    workers: int,
    verify: bool | str,
    certificate: tuple[str, str] | None = None,
    proxy: str = "",
    shown: Callable[[], Mapping[str, str]] | None = None,
) -> requests.Session:
    """As many connections as workers, kept alive; no proxy, netrc or authority of the environment; no cookies.

    `verify` may be the PEM file of a private CA, or a folder of them; `certificate` is two PEM files, the client's and its key's. A `proxy`
    opens connections over TLS, by CONNECT; it gets the headers that `shown` gives for each of them.
    """
    import http.cookiejar  # noqa: PLC0415

    import requests  # noqa: PLC0415

    from agent.adapters.bounds import answers  # noqa: PLC0415

    made = requests.Session()
    made.trust_env = False
    made.verify = verify
    made.cert = certificate
    made.proxies = {"https": proxy} if proxy else {}
    made.cookies.set_policy(http.cookiejar.DefaultCookiePolicy(allowed_domains=[]))
    answers.mount(made, connections=workers, shown=shown)
    return made


def proxy_of_user(address: str) -> str:
    """What HTTPS_PROXY says, unless NO_PROXY has the host; empty for a direct connection."""
    from requests.utils import get_environ_proxies  # noqa: PLC0415

    return get_environ_proxies(address).get("https", "")
