"""What an Application takes, and how it refuses the rest."""

from __future__ import annotations

import pytest

from agent.api import application
from agent.values.errors import ManifestError
from agent.values.secret import Secret

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
