"""Who comes and who goes when a file's keys change."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent.sops.format import key_changes
from agent.sops.format.groups import Recipients
from agent.sops.format.key_changes import GroupChange
from agent.sops.format.keys import AgeRecipient, AzureRecipient, KmsRecipient, name_of

A, B, C = (AgeRecipient(name) for name in "abc")
AZURE = "https://v.vault.azure.net"
RECIPIENTS = st.builds(
    Recipients,
    st.lists(st.lists(st.sampled_from([A, B, C]), min_size=1, max_size=3, unique=True).map(tuple), max_size=3).map(
        tuple
    ),
    st.integers(0, 3),
)


def test_groups_are_compared_by_their_place() -> None:
    change = key_changes.between(Recipients(((A, B), (C,))), Recipients(((C, A),)))
    assert change.groups == (GroupChange((A,), (C,), (B,)), GroupChange((), (), (C,)))
    assert change.thresholds == (2, 0)
    assert change.gone == (B,)


def test_the_order_of_keys_is_no_change() -> None:
    assert not key_changes.between(Recipients(((A, B),)), Recipients(((B, A),))).any


def test_a_threshold_is_one_only_where_there_are_groups() -> None:
    assert not key_changes.between(Recipients(((A,),), 2), Recipients(((A,),))).any
    assert not key_changes.between(Recipients(((A,), (B,)), 2), Recipients(((A,), (B,)))).any
    assert key_changes.between(Recipients(((A,), (B,), (C,)), 2), Recipients(((A,), (B,), (C,)))).any


def test_a_key_of_azure_in_any_version_is_the_one_that_the_file_has() -> None:
    had = Recipients(((AzureRecipient(AZURE, "k", "1"),),))
    assert not key_changes.between(had, Recipients(((AzureRecipient(AZURE, "k"),),))).any
    assert key_changes.between(had, Recipients(((AzureRecipient(AZURE, "k", "2"),),))).any
    assert key_changes.between(had, Recipients(((AzureRecipient(AZURE, "other"),),))).any


def test_the_same_arn_by_another_role_or_profile_is_another_key() -> None:
    one, two = KmsRecipient("arn:x", "arn:r"), KmsRecipient("arn:x", "arn:r", (), "p")
    change = key_changes.between(Recipients(((one,),)), Recipients(((two,),)))
    assert change.groups == (GroupChange((), (two,), (one,)),)


def test_added_keys_join_the_first_group_and_removed_ones_leave_all() -> None:
    before = Recipients(((A,), (B, C)), 2)
    assert key_changes.changed(before, add=[B, A], remove=[C]) == Recipients(((A, B), (B,)), 2)
    assert key_changes.changed(before, add=[C], remove=[C]) == Recipients(((A,), (B,)), 2)
    assert key_changes.changed(Recipients(), add=[A], remove=[]) == Recipients(((A,),))


@given(RECIPIENTS, RECIPIENTS)
def test_the_reported_changes_make_the_one_into_the_other(before: Recipients, after: Recipients) -> None:
    change = key_changes.between(before, after)
    for number, group in enumerate(change.groups):
        old = before.groups[number] if number < len(before.groups) else ()
        new = after.groups[number] if number < len(after.groups) else ()
        assert {*group.kept, *group.added} == set(new)
        assert {*group.kept, *group.removed} == set(old)
    assert not key_changes.between(after, after).any
    names = {name_of(each) for group in after.groups for each in group}
    assert names.isdisjoint(name_of(each) for each in change.gone)
