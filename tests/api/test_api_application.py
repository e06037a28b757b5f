"""What an Application and the operator's file take, and how they refuse the rest."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from agent.api import application, durations, operator, reference, schema
from agent.values import patterns
from agent.values.errors import ConfigError, ManifestError
from agent.values.secret import Secret

ROOT = Path(__file__).resolve().parents[2]
CANARY = "s3cr3t-canary"


def manifest(**spec):
    source = {"url": "https://git.example.com/shop.git", "revision": {"branch": "main"}, **spec.pop("source", {})}
    return {
        "apiVersion": "signet-gitops.dev/v1alpha1",
        "kind": "Application",
        "metadata": {"namespace": "shop", "name": "web", "uid": "uid-1", "generation": 3, "resourceVersion": "42"},
        "spec": {"source": source, **spec},
    }


def test_smallest_application_has_the_documented_defaults():
    parsed = application.parse(manifest())
    spec = parsed.spec
    assert (parsed.id.namespace, parsed.id.name, parsed.id.uid) == ("shop", "web", "uid-1")
    assert (parsed.generation, parsed.resource_version, parsed.deleting, parsed.namespace) == (3, "42", False, "shop")
    assert (spec.source.layers, spec.interval, spec.prune, spec.deletion_policy, spec.suspend) == (
        (".",),
        300,
        True,
        "orphan",
        False,
    )
    assert (spec.sync.mode, spec.sync.force, spec.destination.service_account) == ("apply", True, "signet-applier")
    assert (spec.source.revision.ref, spec.source.credentials, spec.decryption.keys) == ("refs/heads/main", None, ())


def test_status_is_never_input():
    assert application.parse({**manifest(), "status": {"anything": [CANARY]}}) == application.parse(manifest())


def test_annotations_and_deletion_are_read():
    tree = manifest()
    tree["metadata"] |= {
        "annotations": {"signet-gitops.dev/requested-at": "now"},
        "deletionTimestamp": "2026-01-01T00:00:00Z",
        "finalizers": ["signet-gitops.dev/prune"],
    }
    parsed = application.parse(tree)
    assert (parsed.requested_at, parsed.deleting, parsed.finalizers) == ("now", True, ("signet-gitops.dev/prune",))


@pytest.mark.parametrize(
    ("revision", "ref"),
    [
        ({"branch": "feature/größe+1"}, "refs/heads/feature/größe+1"),
        ({"tag": "v1.2.3"}, "refs/tags/v1.2.3"),
        ({"commit": "a" * 40}, "a" * 40),
        ({"commit": "b" * 64}, "b" * 64),
    ],
)
def test_revision_names_one_ref(revision, ref):
    assert application.parse(manifest(source={"revision": revision})).spec.source.revision.ref == ref


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        (["."], (".",)),
        (["./base/", "envs//prod"], ("base", "envs/prod")),
        (["a/./b"], ("a/b",)),
        (["..a", "b.."], ("..a", "b..")),
    ],
)
def test_layers_are_normalised(layers, expected):
    assert application.parse(manifest(source={"layers": layers})).spec.source.layers == expected


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"source": {"url": f"https://user:{CANARY}@git.example.com/x"}}, "spec.source.url"),
        ({"source": {"url": "ssh://git.example.com/x"}}, "spec.source.url"),
        ({"source": {"url": f"ssh://git:{CANARY}@git.example.com/x"}}, "spec.source.url"),
        ({"source": {"url": "git@-oProxyCommand=x:y"}}, "spec.source.url"),
        ({"source": {"url": "file:///etc"}}, "spec.source.url"),
        ({"source": {"url": "https://git.example.com/x?token=" + CANARY}}, "spec.source.url"),
        ({"source": {"url": "https://git.example.com/x\n"}}, "spec.source.url"),
        ({"source": {"url": "https://-oProxyCommand=x/x"}}, "spec.source.url"),
        ({"source": {"revision": {}}}, "spec.source.revision"),
        ({"source": {"revision": {"branch": "main", "tag": "v1"}}}, "spec.source.revision"),
        ({"source": {"revision": {"branch": "--upload-pack=x"}}}, "spec.source.revision.branch"),
        ({"source": {"revision": {"branch": "a..b"}}}, "spec.source.revision.branch"),
        ({"source": {"revision": {"branch": "a b"}}}, "spec.source.revision.branch"),
        ({"source": {"revision": {"branch": "main:refs/heads/x"}}}, "spec.source.revision.branch"),
        ({"source": {"revision": {"commit": "abc"}}}, "spec.source.revision.commit"),
        ({"source": {"layers": []}}, "spec.source.layers"),
        ({"source": {"layers": ["/etc"]}}, "spec.source.layers[0]"),
        ({"source": {"layers": ["base", "../other"]}}, "spec.source.layers[1]"),
        ({"source": {"layers": ["a/../../b"]}}, "spec.source.layers[0]"),
        ({"source": {"layers": ["a\x1b[2J"]}}, "spec.source.layers[0]"),
        ({"source": {"layers": ["base", "./base/"]}}, "spec.source.layers"),
        ({"source": {"layers": "base"}}, "spec.source.layers"),
        ({"source": {"credentials": {"secretName": "../x"}}}, "spec.source.credentials.secretName"),
        ({"source": {"credentials": {"password": CANARY}}}, "spec.source.credentials.secretName"),
        ({"destination": {"namespace": "Kube_System"}}, "spec.destination.namespace"),
        ({"interval": "9s"}, "spec.interval"),
        ({"interval": "5 minutes"}, "spec.interval"),
        ({"interval": ""}, "spec.interval"),
        ({"interval": True}, "spec.interval"),
        ({"sync": {"mode": CANARY}}, "spec.sync.mode"),
        ({"prune": "yes"}, "spec.prune"),
        ({"prune": 1}, "spec.prune"),
        ({"secrets": {"allow": ["Env", "Env"]}}, "spec.secrets.allow"),
        ({"secrets": {"allow": ["Image"]}}, "spec.secrets.allow[0]"),
        ({"decryption": {"keys": [{"secretName": "a"}, {"name": CANARY}]}}, "spec.decryption.keys[1].secretName"),
        ({"pruned": CANARY}, "spec.pruned"),
        ({"suspend": None}, "spec.suspend"),
    ],
)
def test_what_is_wrong_is_named_by_its_field_and_not_by_its_value(change, field):
    with pytest.raises(ManifestError) as caught:
        application.parse(manifest(**change))
    error = caught.value
    assert error.facts["field"] == field
    assert error.facts["application"] == "shop/web"
    assert CANARY not in str(error) + repr(error) + repr(error.__dict__)
    assert error.__cause__ is None
    assert error.__context__ is None


@pytest.mark.parametrize("spec", [None, [], "x", 1])
def test_spec_that_is_no_map_is_refused(spec):
    with pytest.raises(ManifestError):
        application.parse({**manifest(), "spec": spec})


def test_secret_in_an_application_is_refused_without_showing_it():
    tree = manifest()
    tree["spec"]["interval"] = Secret(CANARY, "test:x")
    with pytest.raises(ManifestError, match="a secret is in a field that must be clear text"):
        application.parse(tree)


@pytest.mark.parametrize(
    "tree",
    [
        {},
        {**manifest(), "apiVersion": "signet-gitops.dev/v9"},
        {**manifest(), "kind": "Applications"},
        {**manifest(), "metadata": {"name": "x"}},
        {**manifest(), "metadata": None},
    ],
)
def test_what_is_no_application_is_refused(tree):
    with pytest.raises(ManifestError):
        application.parse(tree)


@given(st.integers(min_value=1, max_value=10_000_000))
def test_duration_round_trip(seconds):
    assert durations.parse(durations.render(seconds)) == seconds


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("1h30m", 5400), ("5m", 300), ("1h0m5s", 3605), ("0s", 0)])
def test_durations_are_read_as_kubernetes_writes_them(text, seconds):
    assert durations.parse(text) == seconds


@pytest.mark.parametrize("text", ["", "5", "5M", "s", "-5s", "1.5h", "5s3m", "٣s", "5s\n", " 5s"])
def test_other_durations_are_refused(text):
    with pytest.raises(ValueError):
        durations.parse(text)


def test_timestamp_is_rfc_3339_to_the_second():
    assert durations.timestamp(1_800_000_000.9) == "2027-01-15T08:00:00Z"


# the operator's file


@pytest.mark.parametrize(
    ("rule", "field"),
    [
        ({"kind": "Deployment"}, "spec.ignore[0]"),
        ({"jsonPointers": []}, "spec.ignore[0]"),
        ({"jsonPointers": ["spec/replicas"]}, "spec.ignore[0].jsonPointers[0]"),
        ({"jsonPointers": ["/"]}, "spec.ignore[0].jsonPointers[0]"),
        ({"jsonPointers": ["/spec//replicas"]}, "spec.ignore[0].jsonPointers[0]"),
        ({"jsonPointers": ["/spec/a~2b"]}, "spec.ignore[0].jsonPointers[0]"),
        ({"jsonPointers": ["/spec/" + "a" * 512]}, "spec.ignore[0].jsonPointers[0]"),
        ({"jsonPointers": ["/spec/replicas", "/kind"]}, "spec.ignore[0].jsonPointers[1]"),
        ({"jsonPointers": ["/metadata"]}, "spec.ignore[0].jsonPointers[0]"),
        ({"jsonPointers": ["/metadata/name"]}, "spec.ignore[0].jsonPointers[0]"),
        ({"jsonPointers": ["/metadata/annotations/signet-gitops.dev~1owner"]}, "spec.ignore[0].jsonPointers[0]"),
        ({"jsonPointers": ["/spec/a"] * 33}, "spec.ignore[0].jsonPointers"),
        ({"managers": [""]}, "spec.ignore[0].managers[0]"),
        ({"managers": ["a"], "version": "v1"}, "spec.ignore[0].version"),
    ],
)
def test_a_rule_of_what_is_ignored_is_refused_by_its_field(rule, field):
    with pytest.raises(ManifestError) as caught:
        application.parse(manifest(ignore=[rule]))
    assert caught.value.facts["field"] == field


@pytest.mark.parametrize(
    "pointer", ["/spec/replicas", "/metadata/annotations", "/metadata/labels/a~1b~0c", "/data/.env"]
)
def test_a_rule_of_what_is_ignored_takes_json_pointers(pointer):
    (rule,) = application.parse(manifest(ignore=[{"group": "", "jsonPointers": [pointer]}])).spec.ignore
    assert (rule.json_pointers, rule.group, rule.kind) == ((pointer,), "", "*")


@pytest.mark.parametrize(("rules", "pointers", "taken"), [(32, 8, True), (33, 1, False), (32, 9, False)])
def test_rules_of_what_is_ignored_are_bounded_together(rules, pointers, taken):
    tree = manifest(ignore=[{"jsonPointers": [f"/spec/f{index}" for index in range(pointers)]}] * rules)
    if taken:
        assert len(application.parse(tree).spec.ignore) == rules
    else:
        with pytest.raises(ManifestError) as caught:
            application.parse(tree)
        assert caught.value.facts["field"] == "spec.ignore"


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
    assert settings.destination_identity("shop", "web", "shop") == "serviceAccount"
    assert settings.destination_identity("shop", "web", "kube-system") is None


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
    ],
)
def test_name_patterns(pattern, name, fits):
    assert patterns.name_matches(pattern, name) is fits


def test_sealed_secrets_are_unsealed_with_keys_and_where_the_operator_says():
    keys = [{"secretName": "sealing-key"}]
    assert not operator.parse({}).sealed_secrets.serves("shop")
    assert not operator.parse({"sealedSecrets": {"namespaces": ["*"]}}).sealed_secrets.serves("shop")
    everywhere = operator.parse({"sealedSecrets": {"keys": keys}}).sealed_secrets
    assert everywhere.serves("shop")
    assert not everywhere.cluster_wide
    some = operator.parse({"sealedSecrets": {"keys": keys, "namespaces": ["team-*"]}}).sealed_secrets
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
    assert settings.destination_identity("shop", name, target) == identity
    assert settings.destination_identity("other", name, target) == ("serviceAccount" if target == "other" else None)


# what is generated


def test_examples_of_the_reference_are_valid():
    tree = yaml.safe_load(reference.APPLICATION_EXAMPLE)
    assert application.parse(tree).spec.interval == 60
    assert operator.parse(yaml.safe_load(reference.OPERATOR_EXAMPLE)).stores["main"].serves("shop")


def test_operator_file_of_deploy_is_valid():
    secret = yaml.safe_load((ROOT / "deploy/operator.yaml").read_text())
    assert operator.parse(yaml.safe_load(secret["stringData"]["operator.yaml"])).stores["main"].allows("secret/shop/db")


def undescribed(tree, path=""):
    for name, field in tree.get("properties", {}).items():
        if not field.get("description"):
            yield f"{path}.{name}"
        yield from undescribed(field, f"{path}.{name}")
        yield from undescribed(field.get("items", {}), f"{path}.{name}[]")
        for values in field.get("patternProperties", {}).values():
            yield from undescribed(values, f"{path}.{name}.*")


def test_every_field_says_what_it_is_for():
    assert list(undescribed(schema.operator())) == []
    assert list(undescribed(schema.application()["properties"]["spec"])) == []


def test_schemas_are_self_contained():
    for tree in (schema.operator(), schema.application()):
        text = json.dumps(tree)
        assert "$ref" not in text
        assert "x-kubernetes" not in text
        assert '"null"' not in text
