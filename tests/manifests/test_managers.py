"""Which field managers are people."""

import pytest

from agent.manifests.managers import is_person


@pytest.mark.parametrize(
    ("manager", "subresource", "person"),
    [
        ("kubectl", "", True),
        ("kubectl-client-side-apply", "", True),
        ("kubectl-edit", "", True),
        ("kubectl-patch", "", True),
        ("before-first-apply", "", True),
        ("kubectl", "scale", False),
        ("kubectl-edit", "status", False),
        ("my-kubectl", "", False),
        ("before-first-apply-2", "", False),
        ("kube-controller-manager", "", False),
        ("signet", "", False),
        ("signet-released", "", False),
        ("", "", False),
    ],
)
def test_people_write_with_kubectl(manager, subresource, person):
    assert is_person(manager, subresource) is person


@pytest.mark.parametrize(
    ("manager", "person"), [("k9s", True), ("Lens [prod]", True), ("Lens p", False), ("kubectl", False)]
)
def test_the_operator_says_who_else_is(manager, person):
    assert is_person(manager, people=("k9s", "Lens [*]")) is person


def test_an_empty_list_names_no_people():
    assert not is_person("kubectl", people=())
