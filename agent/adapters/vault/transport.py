"""A requests session for one server: what it answers is bounded, and nothing comes from the environment."""

from __future__ import annotations

import http.cookiejar

import requests

from agent.adapters.bounds import answers


def session(*, workers: int, ca_file: str | None) -> requests.Session:
    """As many connections as workers, kept alive; no proxy, netrc or authority of the environment; no cookies."""
    made = requests.Session()
    made.trust_env = False
    made.verify = ca_file or True
    made.cookies.set_policy(http.cookiejar.DefaultCookiePolicy(allowed_domains=[]))
    answers.mount(made, connections=workers)
    return made
