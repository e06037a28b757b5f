"""What the operator's file takes, what it grants, and how it refuses the rest."""

from __future__ import annotations

import pytest

from agent.api import destinations, operator
from agent.daemon import grants
from agent.values import patterns
from agent.values.errors import ConfigError
from agent.values.ids import ApplicationId

WEB = ApplicationId("shop", "web", "")
CANARY = "s3cr3t-canary"


def test_people_are_those_whom_the_operator_lists():
    assert operator.parse(None).field_managers.people == ("before-first-apply", "kubectl*")
    assert operator.parse({"fieldManagers": {"people": []}}).field_managers.people == ()
    with pytest.raises(ConfigError) as caught:
        operator.parse({"fieldManagers": {"people": ["k9s\n"]}})
    assert caught.value.facts["field"] == "fieldManagers.people[0]"


def test_no_operator_file_grants_nothing():
    settings = operator.parse(None)
    assert settings == operator.parse({})
    assert (settings.git.allowed_hosts, settings.git.allow_http, settings.stores, settings.keys) == ((), False, {}, ())
    assert settings.audit.required
    assert destinations.identity(settings.destinations, WEB, "shop") == "serviceAccount"
    assert destinations.identity(settings.destinations, WEB, "kube-system") is None
    assert destinations.reach(settings.destinations, WEB, "serviceAccount") == ("shop",)


def store(**change):
    return {
        "address": "https://vault.example.com:8200",
        "auth": {"tokenFile": "/run/token"},
        "allowedPaths": ["secret/shop/**"],
        "allowedNamespaces": ["shop"],
        **change,
    }


@pytest.mark.parametrize(
    ("tree", "field"),
    [
        ({"git": {"allowedHosts": ["https://git.example.com"]}}, "git.allowedHosts[0]"),
        ({"git": {"allowedHosts": ["Git.example.com"]}}, "git.allowedHosts[0]"),
        ({"git": {"timeoutSeconds": 0}}, "git.timeoutSeconds"),
        ({"git": {"timeoutSeconds": "5"}}, "git.timeoutSeconds"),
        ({"git": {"caFile": "relative.pem"}}, "git.caFile"),
        ({"git": {"caFile": "/a/../b"}}, "git.caFile"),
        ({"stores": {"main": store(auth={})}}, "stores.main.auth"),
        ({"stores": {"main": store(auth={"tokenFile": "/t", "kubernetes": {"role": "r"}})}}, "stores.main.auth"),
        ({"stores": {"main": store(auth={"token": CANARY})}}, "stores.main.auth.token"),
        ({"stores": {"main": store(auth={"kubernetes": {"role": "a/../b"}})}}, "stores.main.auth.kubernetes.role"),
        ({"stores": {"main": store(address=f"https://u:{CANARY}@vault")}}, "stores.main.address"),
        ({"stores": {"main": store(address="https://vault/v1")}}, "stores.main.address"),
        ({"stores": {"main": {"address": "https://vault"}}}, "stores.main.auth"),
        ({"stores": {"main": store(allowedPaths=["/secret/%2e"])}}, "stores.main.allowedPaths[0]"),
        ({"stores": {"main": store(transitKeys=["transit/shop"])}}, "stores.main.transitKeys[0]"),
        ({"stores": {"main": store(transitKeys=["**"])}}, "stores.main.transitKeys[0]"),
        ({"keys": [{"path": "/keys", "namespaces": [], "repositories": ["https://g/x"]}]}, "keys[0].namespaces"),
        ({"keys": [{"path": "/keys", "namespaces": ["*"]}]}, "keys[0].repositories"),
        (
            {"sinks": {"customResources": [{"group": "x.dev", "kind": "X", "path": "metadata.name"}]}},
            "sinks.customResources[0].path",
        ),
        ({"sealedSecrets": {"keys": [{"secretName": "A_B"}]}}, "sealedSecrets.keys[0].secretName"),
        ({"sealedSecrets": {"keys": [{"key": CANARY}]}}, "sealedSecrets.keys[0].secretName"),
        ({"sealedSecrets": {"clusterWide": "yes"}}, "sealedSecrets.clusterWide"),
        ({"audit": {"required": "no"}}, "audit.required"),
        ({"limits": {"fileBytes": 1}}, "limits.fileBytes"),
        ({"token": CANARY}, "token"),
        ([CANARY], ""),
        (CANARY, ""),
    ],
)
def test_operator_file_errors_name_the_field_only(tree, field):
    with pytest.raises(ConfigError) as caught:
        operator.parse(tree, file="/etc/signet/operator.yaml")
    error = caught.value
    assert error.facts["field"] == field
    assert error.facts["file"] == "/etc/signet/operator.yaml"
    assert CANARY not in str(error) + repr(error) + repr(error.__dict__)
    assert error.__cause__ is None
    assert error.__context__ is None


@pytest.mark.parametrize(
    ("engine", "key", "opens"),
    [
        ("transit", "shop", True),
        ("transit", "other", False),
        ("team/transit", "any", True),
        ("secret", "shop", False),
        ("transit/keys", "shop", True),
        ("transit", "keys/shop", False),
        ("team", "transit/keys/any", False),
    ],
)
def test_a_transit_key_is_one_of_its_own_list_and_one_segment(engine, key, opens):
    keys = ["transit/keys/shop", "transit/keys/keys/*", "team/transit/keys/*", "team/keys/transit/keys/*"]
    tree = store(allowedPaths=["**"], transitKeys=keys)
    assert operator.parse({"stores": {"main": tree}}).stores["main"].opens(engine, key) is opens


@pytest.mark.parametrize(
    ("engine", "key", "opens"),
    [
        ("transit", "shop", True),
        ("transit/keys", "rotate", False),
        ("transit/keys/shop", "x", False),
        ("transit", "", False),
        ("/transit", "shop", False),
        ("transit/", "shop", False),
    ],
)
@pytest.mark.parametrize("pattern", ["transit/keys/*", "transit/keys/**", "**/keys/*"])
def test_no_pattern_of_transit_keys_goes_beyond_its_segments(engine, key, opens, pattern):
    """A POST to `transit/keys/<key>/rotate` and its like would change a key."""
    found = operator.parse({"stores": {"main": store(transitKeys=[pattern])}}).stores["main"]
    assert found.opens(engine, key) is opens


def test_an_allowed_path_may_have_spaces_within():
    found = operator.parse({"stores": {"main": store(allowedPaths=["secret/my shop/*"])}}).stores["main"]
    assert (found.allows("secret/my shop/db"), found.allows("secret/myshop/db")) == (True, False)
    for path in (" secret/a", "secret/a ", "secret/a\tb", "secret/a\nb", "secret/a%20b"):
        with pytest.raises(ConfigError):
            operator.parse({"stores": {"main": store(allowedPaths=[path])}})


@pytest.mark.parametrize(
    ("pattern", "path", "fits"),
    [
        ("secret/shop/**", "secret/shop/db", True),
        ("secret/shop/**", "secret/shop/a/b/c", True),
        ("secret/shop/**", "secret/shop", False),
        ("secret/shop/**", "secret/shopping/db", False),
        ("secret/*/db", "secret/shop/db", True),
        ("secret/*/db", "secret/a/b/db", False),
        ("secret/shop-*", "secret/shop-prod", True),
        ("secret/shop-*", "secret/shop-prod/db", False),
        ("secret/a.c", "secret/abc", False),
        ("**", "anything/at/all", True),
        ("secret", "secret", True),
        ("*", "secret/x", False),
    ],
)
def test_path_patterns_keep_to_segments(pattern, path, fits):
    assert patterns.path_matches(pattern, path) is fits


@pytest.mark.parametrize(
    ("pattern", "name", "fits"),
    [
        ("shop", "shop", True),
        ("shop-*", "shop-prod", True),
        ("shop-*", "shop", False),
        ("*", "x", True),
        ("a.c", "abc", False),
        ("ab*ba", "aba", False),
        ("ab*ba", "abba", True),
        ("a*b*", "acbd", True),
        ("*a*b", "ba", False),
        ("", "", True),
    ],
)
def test_name_patterns(pattern, name, fits):
    assert patterns.name_matches(pattern, name) is fits


def test_a_pattern_with_many_stars_costs_no_more_than_a_long_one():
    assert not patterns.name_matches("*a" * 120 + "b", "a" * 253)
    assert patterns.name_matches("*a" * 120 + "*", "a" * 253)


def test_sealed_secrets_are_unsealed_with_keys_and_where_the_operator_says():
    keys = [{"secretName": "sealing-key"}]
    assert grants.unsealing(operator.parse({})) is None
    assert grants.unsealing(operator.parse({"sealedSecrets": {"namespaces": ["*"]}})) is None
    everywhere = grants.unsealing(operator.parse({"sealedSecrets": {"keys": keys}}))
    assert everywhere is not None
    assert everywhere.serves("shop")
    assert not everywhere.cluster_wide
    some = grants.unsealing(operator.parse({"sealedSecrets": {"keys": keys, "namespaces": ["team-*"]}}))
    assert some is not None
    assert (some.serves("team-a"), some.serves("shop")) == (True, False)


def test_key_grant_needs_both_namespace_and_repository():
    (grant,) = operator.parse(
        {"keys": [{"path": "/keys", "namespaces": ["team-*"], "repositories": ["https://git.example.com/a.git"]}]}
    ).keys
    assert grant.serves("team-a", "https://git.example.com/a.git")
    assert grant.serves("team-a", "https://git.example.com/a")
    assert not grant.serves("other", "https://git.example.com/a.git")
    assert not grant.serves("team-a", "https://git.example.com/b.git")


@pytest.mark.parametrize(
    ("name", "target", "identity"),
    [
        ("web", "shop", "serviceAccount"),
        ("web", "shop-preview-1", "serviceAccount"),
        ("web", "other", None),
        ("root", "kube-system", "agent"),
        ("root", "shop", "agent"),
    ],
)
def test_destinations_beyond_the_own_namespace_are_granted(name, target, identity):
    settings = operator.parse(
        {
            "destinations": [
                {"applicationNamespace": "shop", "namespaces": ["shop-preview-*"]},
                {"applicationNamespace": "shop", "applicationName": "root", "namespaces": ["*"], "identity": "agent"},
            ]
        }
    )
    found = destinations.identity(settings.destinations, ApplicationId("shop", name, ""), target)
    assert found == identity
    found = destinations.identity(settings.destinations, ApplicationId("other", name, ""), target)
    assert found == ("serviceAccount" if target == "other" else None)


def test_the_agents_own_rights_reach_no_further_than_their_grants():
    given = operator.parse(
        {
            "destinations": [
                {"applicationNamespace": "shop", "namespaces": ["shop-*"]},
                {"applicationNamespace": "shop", "namespaces": ["kube-system"], "identity": "agent"},
                {"applicationNamespace": "bank", "namespaces": ["*"], "identity": "agent"},
            ]
        }
    ).destinations
    assert destinations.reach(given, WEB, "agent") == ("shop", "kube-system")
    assert destinations.reach(given, WEB, "serviceAccount") == ("shop", "shop-*", "kube-system")
    assert destinations.reach(given[:1], WEB, "agent") == ()


@pytest.mark.parametrize(
    "url",
    ["https://proxy:3128", "http://user:pw@proxy", "http://proxy/x", "proxy:3128", "http://proxy:3128?x", "http://-"],
)
def test_what_is_no_proxy(url: str):
    for group in ("git", "oci", "charts"):
        with pytest.raises(ConfigError) as refused:
            operator.parse({group: {"proxy": {"url": url}}})
        assert refused.value.facts["field"] == f"{group}.proxy.url"


@pytest.mark.parametrize(
    ("pattern", "direct", "proxied"),
    [
        ("*.svc", ["gitea.shop.svc"], ["svc", "Gitea.SVC.example.com"]),
        (".svc", ["gitea.shop.svc", "Gitea.Shop.SVC"], ["svc", "gitea.svc.example.com"]),
        ("10.*", ["10.1.2.3"], ["110.1.2.3"]),
        ("[fd00::1]", ["fd00::1", "[FD00::1]"], ["fd00::2"]),
        ("fd00:*", ["fd00::1", "[fd00::1]"], ["fe00::1"]),
    ],
)
def test_which_hosts_are_direct(pattern: str, direct: list[str], proxied: list[str]):
    proxy = operator.parse({"git": {"proxy": {"url": "http://proxy:3128", "direct": [pattern]}}}).git.proxy
    assert proxy is not None
    assert {proxy.of(host) for host in direct} == {""}
    assert {proxy.of(host) for host in proxied} == {"http://proxy:3128"}
