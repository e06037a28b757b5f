"""The agent's own tokens: from a file that rotates, and by Kubernetes login against a real control plane."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from vault_servers import SHOP

from agent.engine.ports import Resolved
from agent.manifests import references
from agent.values.errors import AgentError, StoreDeniedError, StoreUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from vault_servers import Clock, Proxy

    from agent.adapters.vault.stores import Stores
    from testbed.controlplane import ControlPlane
    from testbed.openbao import OpenBao


@pytest.fixture
def policy(openbao: OpenBao, mount: str) -> str:
    """May read what is below `shop/` of the mount."""
    openbao.put("shop/db", {"p": "x"}, mount=mount)
    openbao.put_policy(mount, f'path "{mount}/data/shop/*" {{ capabilities = ["read"] }}')
    return mount


async def read(stores: Stores, mount: str, path: str = "shop/db") -> Resolved | AgentError:
    reference = references.parse(f"vault://main/{mount}/{path}#p")
    return (await stores.resolve(SHOP, [reference]))[reference]


async def test_a_token_file_is_read_again_when_it_changes(
    make_stores: Callable[..., Stores],
    openbao: OpenBao,
    policy: str,
    proxy: Proxy,
    set_token: Callable[[str], None],
) -> None:
    first, second = openbao.token(policy), openbao.token(policy)
    set_token(first)
    stores = make_stores(address=proxy.url)
    assert isinstance(await read(stores, policy), Resolved)
    set_token(second)
    assert isinstance(await read(stores, policy), Resolved)
    assert list(dict.fromkeys(proxy.tokens)) == [first, second]


async def test_a_dead_token_in_a_file_is_an_outage_until_there_is_another(
    make_stores: Callable[..., Stores],
    openbao: OpenBao,
    policy: str,
    set_token: Callable[[str], None],
    clock: Clock,
) -> None:
    dead = openbao.token(policy)
    set_token(dead)
    stores = make_stores()
    assert isinstance(await read(stores, policy), Resolved)
    openbao.revoke(dead)
    error = await read(stores, policy)
    assert isinstance(error, StoreUnavailableError)
    assert error.message == "the store no longer knows the agent's token"
    set_token(openbao.token(policy))
    clock.now += 10
    assert isinstance(await read(stores, policy), Resolved)


@pytest.mark.parametrize("content", [None, "", "two words", "tøken", "a\nb"])
async def test_a_token_file_that_holds_no_token_is_named(
    make_stores: Callable[..., Stores], mount: str, tmp_path: Path, content: str | None
) -> None:
    path = tmp_path / "other"
    if content is not None:
        path.write_text(content)
    error = await read(make_stores(auth={"tokenFile": str(path)}), mount)
    assert isinstance(error, StoreUnavailableError)
    assert error.message == "the file of the agent's token cannot be read"
    assert error.facts["path"] == str(path)


async def test_many_denied_paths_are_confirmed_without_a_lookup_for_each(
    make_stores: Callable[..., Stores],
    openbao: OpenBao,
    policy: str,
    proxy: Proxy,
    set_token: Callable[[str], None],
) -> None:
    set_token(openbao.token(policy))
    stores = make_stores(address=proxy.url)
    wanted = [references.parse(f"vault://main/{policy}/other/{number}#p") for number in range(40)]
    answers = await stores.resolve(SHOP, wanted)
    assert {type(answer) for answer in answers.values()} == {StoreDeniedError}
    assert proxy.count(part="/data/other/") == 40
    assert proxy.count(part="lookup-self") <= 40


@dataclass
class Account:
    """A ServiceAccount of the control plane, a role that takes it, and the file its tokens are projected into."""

    auth: dict[str, dict[str, str]]
    token_file: Path
    mint: Callable[..., str]

    def project(self, **options: object) -> None:
        self.token_file.write_text(self.mint(**options))


@pytest.fixture
def account(controlplane: ControlPlane, openbao: OpenBao, namespace: str, policy: str, tmp_path: Path) -> Account:
    method = f"k8s-{secrets.token_hex(4)}"
    controlplane.create_service_account(namespace, "signet")
    openbao.enable_kubernetes_auth(controlplane, mount=method)
    openbao.put_kubernetes_role(
        "signet", service_accounts=["signet"], namespaces=[namespace], policies=[policy], ttl="10m", mount=method
    )
    path = tmp_path / "projected"

    def mint(audiences: tuple[str, ...] = ("vault",)) -> str:
        return controlplane.service_account_token(namespace, "signet", audiences=audiences)

    path.write_text(mint())
    return Account({"kubernetes": {"role": "signet", "mount": method, "tokenFile": str(path)}}, path, mint)


async def test_a_login_is_made_once_renewed_at_two_thirds_and_made_again_after_its_end(
    make_stores: Callable[..., Stores], account: Account, policy: str, proxy: Proxy, clock: Clock
) -> None:
    stores = make_stores(address=proxy.url, auth=account.auth)
    wanted = [references.parse(f"vault://main/{policy}/shop/{number}#p") for number in range(30)]
    await stores.resolve(SHOP, wanted)
    assert isinstance(await read(stores, policy), Resolved)
    assert (proxy.count(part="/login"), proxy.count(part="renew-self")) == (1, 0)
    clock.now += 390
    assert isinstance(await read(stores, policy), Resolved)
    assert (proxy.count(part="/login"), proxy.count(part="renew-self")) == (1, 0)
    clock.now += 15
    await stores.resolve(SHOP, wanted)
    assert (proxy.count(part="/login"), proxy.count(part="renew-self")) == (1, 1)
    clock.now += 601
    assert isinstance(await read(stores, policy), Resolved)
    assert (proxy.count(part="/login"), proxy.count(part="renew-self")) == (2, 1)


async def test_a_token_that_died_early_is_replaced_by_one_login_and_nothing_fails(
    make_stores: Callable[..., Stores], account: Account, openbao: OpenBao, policy: str, proxy: Proxy
) -> None:
    for number in range(30):
        openbao.put(f"shop/{number}", {"p": "x"}, mount=policy)
    stores = make_stores(address=proxy.url, auth=account.auth)
    assert isinstance(await read(stores, policy), Resolved)
    openbao.revoke(proxy.tokens[-1])
    wanted = [references.parse(f"vault://main/{policy}/shop/{number}#p") for number in range(30)]
    answers = await stores.resolve(SHOP, wanted)
    assert {type(answer) for answer in answers.values()} == {Resolved}
    assert proxy.count(part="/login") == 2


async def test_each_login_reads_the_projected_token_again(
    make_stores: Callable[..., Stores], account: Account, policy: str, proxy: Proxy, clock: Clock
) -> None:
    stores = make_stores(address=proxy.url, auth=account.auth)
    assert isinstance(await read(stores, policy), Resolved)
    account.token_file.write_text("not.a.jwt")
    clock.now += 601
    error = await read(stores, policy)
    assert isinstance(error, StoreDeniedError)
    assert error.message == "the store refuses the agent's login"
    logins = proxy.count(part="/login")
    wanted = [references.parse(f"vault://main/{policy}/shop/{number}#p") for number in range(30)]
    assert {type(answer) for answer in (await stores.resolve(SHOP, wanted)).values()} == {StoreDeniedError}
    assert proxy.count(part="/login") == logins
    account.project()
    clock.now += 6
    assert isinstance(await read(stores, policy), Resolved)


async def test_a_login_with_another_audience_is_refused(
    make_stores: Callable[..., Stores], account: Account, policy: str
) -> None:
    account.project(audiences=("other",))
    error = await read(make_stores(auth=account.auth), policy)
    assert isinstance(error, StoreDeniedError)


async def test_a_token_of_a_login_is_revoked_at_close_and_one_of_a_file_is_not(
    make_stores: Callable[..., Stores],
    account: Account,
    openbao: OpenBao,
    policy: str,
    proxy: Proxy,
    set_token: Callable[[str], None],
) -> None:
    by_login = make_stores(address=proxy.url, auth=account.auth)
    await read(by_login, policy)
    minted = proxy.tokens[-1]
    given = openbao.token(policy)
    set_token(given)
    by_file = make_stores(address=proxy.url)
    await read(by_file, policy)
    assert openbao.request("GET", "auth/token/lookup-self", token=minted)[0] == 200
    await by_login.close()
    await by_file.close()
    assert openbao.request("GET", "auth/token/lookup-self", token=minted)[0] == 403
    assert openbao.request("GET", "auth/token/lookup-self", token=given)[0] == 200


async def test_a_login_whose_token_may_not_look_itself_up_is_not_repeated_for_every_denied_path(
    make_stores: Callable[..., Stores], account: Account, openbao: OpenBao, policy: str, proxy: Proxy, clock: Clock
) -> None:
    method = account.auth["kubernetes"]["mount"]
    openbao.checked("POST", f"auth/{method}/role/signet", {"token_no_default_policy": True})
    stores = make_stores(address=proxy.url, auth=account.auth)
    for _ in range(5):
        assert isinstance(await read(stores, policy), Resolved)
        assert isinstance(await read(stores, policy, "other/db"), StoreDeniedError)
        clock.now += 30
    assert proxy.count(part="/login") == 2
