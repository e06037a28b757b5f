"""A requests session for one server: what it answers is bounded, and nothing comes from the environment."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import requests


def session(*, workers: int, verify: bool | str, certificate: tuple[str, str] | None = None) -> requests.Session:
    """As many connections as workers, kept alive; no proxy, netrc or authority of the environment; no cookies.

    `verify` may be the PEM file of a private CA, or a folder of them; `certificate` is two PEM files, the client's and its key's.
    """
    import http.cookiejar  # noqa: PLC0415

    import requests  # noqa: PLC0415

    from agent.adapters.bounds import answers  # noqa: PLC0415

    made = requests.Session()
    made.trust_env = False
    made.verify = verify
    made.cert = certificate
    made.cookies.set_policy(http.cookiejar.DefaultCookiePolicy(allowed_domains=[]))
    answers.mount(made, connections=workers)
    return made
