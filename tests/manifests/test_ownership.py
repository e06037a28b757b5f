import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.manifests import ownership
from agent.manifests.ownership import Owner
from agent.values.fingerprint import Fingerprinter
from agent.values.ids import ApplicationId, ObjectId
from agent.values.secret import Secret

UID = "0b6a7d0e-9a0d-4a55-8d0f-2f5f1d2f3a4b"
KEY = Fingerprinter.derive(Secret(b"k" * 32, "key"), "ownership")
OWNER = Owner("prod-1", ApplicationId("shop", "web", UID))
CONFIG = ObjectId("", "ConfigMap", "shop", "a")
TREE = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "labels": {"x": "y"}}}
STAMPED = ownership.stamp(TREE, CONFIG, OWNER, KEY)


def test_a_stamped_object_proves_its_owner():
    assert ownership.prove(STAMPED, CONFIG, "prod-1", KEY) == UID
    assert STAMPED["metadata"]["labels"] == {
        "x": "y",
        ownership.LABEL_INSTALLATION: "prod-1",
        ownership.LABEL_APPLICATION: f"web-{UID}",
    }
    assert "annotations" not in TREE["metadata"]


def test_stamping_twice_or_over_a_forgery_is_stamping_once():
    assert ownership.stamp(STAMPED, CONFIG, OWNER, KEY) == STAMPED
    forged = {**TREE, "metadata": {**TREE["metadata"], "annotations": {ownership.ANNOTATION_OWNER: "v1.1.x.y"}}}
    assert ownership.stamp(forged, CONFIG, OWNER, KEY) == STAMPED


@pytest.mark.parametrize(
    ("object_id", "installation", "key"),
    [
        (ObjectId("", "ConfigMap", "shop", "copy"), "prod-1", KEY),
        (ObjectId("", "ConfigMap", "other", "a"), "prod-1", KEY),
        (ObjectId("", "Secret", "shop", "a"), "prod-1", KEY),
        (CONFIG, "prod-2", KEY),
        (CONFIG, "prod-1", Fingerprinter.derive(Secret(b"j" * 32, "key"), "ownership")),
        (CONFIG, "prod-1", Fingerprinter.derive(Secret(b"k" * 32, "key"), "record")),
        (CONFIG, "prod-1", Fingerprinter.derive(Secret(b"k" * 32, "key"), "ownership", "2")),
    ],
)
def test_a_copy_or_another_installation_proves_nothing(object_id, installation, key):
    assert ownership.prove(STAMPED, object_id, installation, key) is None


@given(st.text() | st.from_regex(r"v1\.1\.[a-z0-9-]{1,40}\.[0-9a-f]{32}", fullmatch=True))
def test_no_made_up_annotation_proves_anything(text):
    live = {"metadata": {"annotations": {ownership.ANNOTATION_OWNER: text}}}
    assert ownership.prove(live, CONFIG, "prod-1", KEY) is None


@pytest.mark.parametrize(
    "live",
    [
        {},
        {"metadata": None},
        {"metadata": {"annotations": []}},
        {"metadata": {"annotations": {ownership.ANNOTATION_OWNER: 5}}},
    ],
)
def test_objects_without_annotations_prove_nothing(live):
    assert ownership.prove(live, CONFIG, "prod-1", KEY) is None
    assert ownership.new_owner(live) is None


@given(st.from_regex(r"[a-z0-9]([a-z0-9.-]{0,250}[a-z0-9])?", fullmatch=True))
def test_labels_are_valid_and_unique_to_the_application(name):
    value = ownership.application_label(ApplicationId("shop", name, UID))
    assert re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?", value)
    assert value.endswith(UID)


@pytest.mark.parametrize(
    ("uid", "expected"),
    [("u" * 61, f"w-{'u' * 61}"), ("u" * 62, "u" * 62), ("u" * 63, "u" * 63), ("u" * 64, "u" * 63)],
)
def test_a_label_is_the_uid_alone_where_nothing_else_fits(uid, expected):
    assert ownership.application_label(ApplicationId("shop", "web", uid)) == expected


def test_a_label_has_as_much_of_a_long_name_as_fits():
    value = ownership.application_label(ApplicationId("shop", "n" * 253, UID))
    assert value == "n" * (63 - 1 - len(UID)) + f"-{UID}"


def test_words_of_users_are_read():
    live = {
        "metadata": {
            "annotations": {
                "signet-gitops.dev/reconcile": "disabled",
                "signet-gitops.dev/apply": "if-not-present",
                "signet-gitops.dev/prune": "disabled",
                "signet-gitops.dev/replace": "true",
                "signet-gitops.dev/new-owner": "team/app",
            }
        }
    }
    readers = (
        ownership.is_reconcile_disabled,
        ownership.is_apply_if_absent,
        ownership.is_prune_disabled,
        ownership.is_replace_allowed,
    )
    assert [read(live) for read in readers] == [True] * 4
    assert [read(TREE) for read in readers] == [False] * 4
    assert ownership.new_owner(live) == ("team", "app")
