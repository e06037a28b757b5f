"""Which rule of signatures is a repository's, however its URL is written."""

from __future__ import annotations

import pytest

from agent.api.model import Problem, validate
from agent.api.signatures import SignatureRule, plain, rule_for
from agent.values.errors import ConfigError

SAME = [
    "https://git.example.com/shop/web",
    "https://git.example.com/shop/web.git",
    "https://GIT.example.com:443/Shop/Web.git/",
    "https://git.example.com:0443/shop/web",
    "ssh://git.example.com/shop/web",
    "http://git.example.com:80/shop/web",
    "ssh://git@git.example.com:22/shop/web.git",
    "git@git.example.com:shop/web.git",
    "Other_user@git.example.com:Shop/Web/",
]
UNCLEAR = [
    "git@git.example.com:/srv/git/shop/web",
    "git@git.example.com:~/shop/web",
    "ssh://git@git.example.com/~/shop/web",
    "ssh://git@git.example.com/~git/shop/web",
    "https://git.example.com/other/%2e%2e/shop/web",
    "https://git.example.com/shop/%77eb",
    "https://git.example.com//shop/web",
    "https://git.example.com/shop/./web",
    "https://git.example.com/other/../shop/web",
    "https://git.example.com",
]


@pytest.mark.parametrize("url", SAME)
def test_all_ways_to_write_a_repository_are_one(url: str) -> None:
    assert plain(url) == "git.example.com/shop/web"


@pytest.mark.parametrize("url", UNCLEAR)
def test_what_servers_read_in_different_ways_is_refused_where_there_are_rules(url: str) -> None:
    with pytest.raises(ConfigError):
        rule_for((rule("elsewhere.example.com/*"),), url)
    assert rule_for((), url) is None


def test_an_address_in_brackets_is_a_host() -> None:
    assert plain("git@[::1]:team/app") == plain("ssh://git@[::1]:22/team/app.git") == "[::1]/team/app"


def test_another_port_is_another_server() -> None:
    assert plain("https://git.example.com:8443/shop/web") == "git.example.com:8443/shop/web"


def rule(*repositories: str, **fields: object) -> SignatureRule:
    return validate(SignatureRule, {"repositories": list(repositories), "sshSigners": "/etc/signers", **fields})  # pyright: ignore[reportArgumentType]


def test_the_first_rule_that_fits_decides() -> None:
    exact, all_of_it = rule("git.example.com/Shop/web"), rule("git.example.com/*")
    rules = (exact, all_of_it)
    assert rule_for(rules, SAME[6]) is exact
    assert rule_for(rules, "https://git.example.com/shop/webs") is all_of_it
    assert rule_for(rules, "https://git.example.org/shop/web") is None


@pytest.mark.parametrize(
    ("fields", "cause"),
    [
        ({"sshSigners": None}, "give sshSigners, pgpKeys or both"),
        ({"sshSigners": None, "pgpKeys": "/k", "sshRevoked": "/r"}, "sshRevoked needs sshSigners"),
        ({"since": "a" * 40}, "since needs require: every"),
    ],
)
def test_what_makes_no_sense_is_refused(fields: dict[str, object], cause: str) -> None:
    with pytest.raises(Problem, match=cause):
        rule("*", **fields)
