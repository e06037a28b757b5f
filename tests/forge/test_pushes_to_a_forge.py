"""A push to a real Gitea is applied because of its webhook: the Application would poll after an hour, and every test takes minutes at most."""

from __future__ import annotations

from typing import TYPE_CHECKING

from testbed.gitea import Delivery
from testbed.processes import wait_until

if TYPE_CHECKING:
    from conftest import Shop

_OF_A_RUN = 2
"""Requests for refs by which a run learns of a commit and fetches it."""


def until_delivered(shop: Shop, hook: int, *expected: Delivery) -> None:
    wait_until(lambda: len(shop.repository.deliveries(hook)) >= len(expected), 60, "the webhook")
    assert shop.repository.deliveries(hook) == list(expected)


def until_asked(shop: Shop, times: int) -> None:
    """The forge writes down later what it was asked."""
    wait_until(lambda: shop.repository.questions() >= times, 60, "a run")
    assert shop.repository.questions() == times


def test_a_push_is_applied_because_of_the_webhook(shop: Shop) -> None:
    shop.follow("main")
    hook = shop.webhooks.add(shop.repository)
    asked = shop.repository.questions()
    shop.until_applied(shop.push("2"), "2")
    until_delivered(shop, hook, Delivery("push", 202))
    assert shop.releases == ["git+push", "git+start"]
    until_asked(shop, asked + _OF_A_RUN)


def test_a_webhook_with_another_secret_changes_nothing(shop: Shop) -> None:
    shop.follow("main")
    asked = shop.repository.questions()
    wrong = shop.webhooks.add(shop.repository, secret="another secret of a test")
    shop.push("2")
    until_delivered(shop, wrong, Delivery("push", 404))
    assert (shop.value, shop.repository.questions()) == ("1", asked)
    right = shop.webhooks.add(shop.repository)
    shop.until_applied(shop.push("3"), "3")
    until_delivered(shop, right, Delivery("push", 202))
    assert shop.releases == ["git+push", "git+start"]
    until_asked(shop, asked + _OF_A_RUN)  # the first push started no run


def test_a_push_to_a_branch_that_is_not_followed_asks_nothing(shop: Shop) -> None:
    shop.follow("main")
    hook = shop.webhooks.add(shop.repository)
    asked = shop.repository.questions()
    shop.push("2", "feature")
    until_delivered(shop, hook, Delivery("push", 202))
    assert (shop.value, shop.repository.questions()) == ("1", asked)
    shop.until_applied(shop.push("3"), "3")
    assert shop.releases == ["git+push", "git+start"]
    until_asked(shop, asked + _OF_A_RUN)


def test_a_tag_that_is_deleted_and_a_test_delivery_change_nothing(shop: Shop) -> None:
    shop.follow("main")
    hook, asked = shop.add_hook_for_all(), shop.repository.questions()
    for ref in ("HEAD:refs/tags/v1", ":v1"):
        shop.push_ref(ref)
    tagged = [Delivery(event, 202) for event in ("push", "create", "push", "delete")]
    assert shop.repository.deliveries(hook) == tagged
    assert shop.repository.questions() == asked
    shop.repository.test(hook)
    until_asked(shop, asked + 1)
    until_delivered(shop, hook, *tagged, Delivery("push", 202))
    shop.until_applied(shop.push("2"), "2")
    assert shop.releases == ["git+push", "git+start"]


def test_a_branch_that_is_deleted_leaves_what_was_applied(shop: Shop) -> None:
    shop.push("0")
    shop.follow("release")
    hook, asked = shop.add_hook_for_all(), shop.repository.questions()
    shop.push_ref(":release")
    assert shop.repository.deliveries(hook) == [Delivery("delete", 202)]
    assert (shop.value, shop.repository.questions()) == ("1", asked)
    shop.until_applied(shop.push("2", "release"), "2")
    assert shop.releases == ["git+push", "git+start"]
