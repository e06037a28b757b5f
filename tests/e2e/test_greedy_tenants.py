"""A tenant who may commit to one repository, or create Applications in one namespace, keeps no other waiting and takes no memory."""

from __future__ import annotations

import contextlib
import itertools
import json
import threading
import time
import urllib.request
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import hostile_servers
import pytest
import yaml
from manifests_written import config_map, deployment, secret

from agent.adapters.keys import age_format, age_x25519
from agent.adapters.keys.age import generate
from agent.values.reveal import reveal
from testbed.processes import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from testbed.installation import Installation, Tenant

MIB = 1024 * 1024


class Watch:
    """How long the agent was silent at most, and how much memory it took at most meanwhile."""

    def __init__(self, installation: Installation) -> None:
        self._url = f"http://127.0.0.1:{installation.agent.port}/healthz"
        assert installation.agent.process is not None
        self._process = Path(f"/proc/{installation.agent.process.pid}")
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._ask)
        self.silence = 0.0

    def __enter__(self) -> Self:
        (self._process / "clear_refs").write_text("5")
        self._before = self._peak()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    @property
    def growth(self) -> int:
        """Bytes."""
        return self._peak() - self._before

    def _peak(self) -> int:
        lines = (self._process / "status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))

    def _ask(self) -> None:
        while not self._end.wait(0.1):
            began = time.monotonic()
            while not self._end.is_set():
                with contextlib.suppress(OSError), urllib.request.urlopen(self._url, timeout=5) as answer:
                    if answer.status == 200:
                        break
            self.silence = max(self.silence, time.monotonic() - began)


def nested(value: str, *, length: int, levels: int, leaves: int) -> str:
    """A ConfigMap with much in a field that it does not have."""
    lines = [f"{' ' * level}{'k' * length}{level}:" for level in range(1, levels + 1)]
    lines += [f"{' ' * (levels + 1)}l{number}: {value}" for number in range(leaves)]
    return "\n".join(["apiVersion: v1", "kind: ConfigMap", "metadata: {name: deep}", "extra:", *lines, ""])


def long_keys(greedy: Tenant) -> None:
    greedy.deploy({"a.yaml": config_map("a", value="1")})
    for value in "12":
        report = greedy.sync({"deep.yaml": nested(value, length=1000, levels=100, leaves=6000)})
        assert "key is longer than the limit" in report.failure(reason="Limit")["message"]


def keys_within_the_limits(greedy: Tenant) -> None:
    greedy.deploy({"a.yaml": config_map("a", value="1")})
    for value in "12":
        greedy.sync({"deep.yaml": nested(value, length=400, levels=9, leaves=40_000)}, seconds=120)


def a_long_author(greedy: Tenant) -> None:
    greedy.deploy({"a.yaml": config_map("a", value="1")})
    for value in "12":
        many = {f"{number}.yaml": config_map(f"c{number}", value=value) for number in range(300)}
        greedy.commit(many, author="A" * 900_000)
        greedy.sync(seconds=120)
        greedy.until_ready(seconds=120)
    installation = greedy.installation
    mine = [
        line for line in installation.agent.audit_file.read_bytes().splitlines() if greedy.namespace.encode() in line
    ]
    assert len(mine) >= 1200
    assert sum(map(len, mine)) < 3 * MIB


def aliases(greedy: Tenant) -> None:
    items = ", ".join(["*x"] * 90)
    bomb = f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: bomb}}\nx: &x {'x' * MIB}\nall: [{items}]\n"
    greedy.deploy({"a.yaml": config_map("a", value="1")})
    report = greedy.sync({"bomb.yaml": bomb}, seconds=120)
    assert "aliases make the file larger" in report.failure(reason="Limit")["message"]


def many_keys(greedy: Tenant) -> None:
    """Eight Applications, each with all the keys that it may have and a file for as many strangers as it may name."""
    strangers = [age_x25519.X25519Recipient.parse(generate()[0]).wrap(b"f" * 16) for _ in range(64)]
    enc = age_format.armor(age_format.write(strangers, b"f" * 16, b"n" * 16, b"k" * 32))
    keys = [{"recipient": f"age1stranger{number}", "enc": enc} for number in range(256)]
    sealed = greedy.seal(secret("s", value="1"))
    head, _, tail = sealed.partition("sops:\n")
    kept = tail[tail.index("    encrypted_regex") :]
    files = {"s.yaml": f"{head}sops:\n    age: {json.dumps(keys)}\n{kept}"}
    applications = [greedy, *(greedy.second(f"app-{number}") for number in range(7))]
    greedy.put_secret("sops-age", {"keys.txt": "\n".join(str(reveal(generate()[1])) for _ in range(64))})
    for each in applications:
        each.commit(files)
        each.configure()
    for each in applications:
        message = each.until_failure(seconds=150)["message"]
        assert message.partition(" (")[0] == "trying the file's keys takes too long"


def patterns_of_comments(greedy: Tenant) -> None:
    """Many comments that wait for one value, and one long comment for a pattern that is slow: each of two files."""
    greedy.deploy({"a.yaml": config_map("a", value="1")})
    sealed = greedy.seal(secret("s", value="1"))
    head, _, tail = sealed.partition("encrypted_regex:")
    rest = tail.partition("\n")[2]
    for comments, pattern in (("#a\n" * 20_000, "^secret"), (f"#{'a' * MIB}\n", "(x?y?z?a?){1000}b")):
        report = greedy.sync({"s.yaml": f"{comments}{head}encrypted_comment_regex: {pattern}\n{rest}"}, seconds=120)
        assert report.failures


def long_lists(greedy: Tenant) -> None:
    """Many items of a list whose items have keys, in the clear and among secrets."""
    workload = deployment("web", env=[{"name": f"v{number}", "value": "1"} for number in range(6000)])
    greedy.deploy({"a.yaml": config_map("a", value="1")})
    greedy.sync({"web.yaml": workload}, seconds=120)
    greedy.sync({"web.yaml": greedy.seal(workload, "--encrypted-regex", "^value$")}, seconds=120)


def floods_of_live_fields(greedy: Tenant) -> None:
    """A user who may edit in the namespace floods what the agent watches, and keeps changing it."""
    manager = {"operation": "Apply", "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": {"f:data": {}}}
    owner = {"apiVersion": "v1", "kind": "ConfigMap"}
    floods: dict[str, Any] = {
        "labels": {f"flood.example.com/l{number}": "x" * 60 for number in range(2000)},
        "annotations": {f"flood.example.com/a{number}": "x" * 60 for number in range(2000)},
        "finalizers": [f"flood.example.com/f{number}" for number in range(1000)],
        "ownerReferences": [{**owner, "name": f"o{number}", "uid": str(uuid.uuid4())} for number in range(500)],
        "managedFields": [{**manager, "manager": f"m{number}"} for number in range(150)],
    }
    greedy.deploy({f"{what}.yaml": config_map(what.lower(), value="0") for what in floods})
    for what, flood in floods.items():
        live = greedy.get("configmaps", what.lower())
        assert live is not None
        there = live["metadata"].get(what)
        more = {**(there or {}), **flood} if isinstance(flood, dict) else [*(there or []), *flood]
        changed = {**live, "metadata": {**live["metadata"], what: more}, "data": {"value": "1"}}
        path = f"{greedy.path('configmaps', what.lower())}?fieldManager=flood"
        greedy.controlplane.checked("PUT", path, changed)
    healed = [{"value": "0"}] * len(floods)
    wait_until(lambda: [greedy.data(what.lower()) for what in floods] == healed, 60, "all are healed")


def hostile_stores(greedy: Tenant) -> None:
    greedy.deploy({"a.yaml": config_map("a", value="1")})
    files = {f"{name}.yaml": secret(name, value=f"vault://{name}/kv/path#k") for name in hostile_servers.ANSWERS}
    report = greedy.sync(files, seconds=120)
    assert len(report.failures) == len(files)


def hostile_webhooks(greedy: Tenant) -> None:
    """Webhooks that a user may register: they flood what is applied with fields, and refuse it with a message of a mebibyte."""
    greedy.deploy({"a.yaml": config_map("a", value="0")})
    rounds = itertools.count(1)

    def flooded(written: dict[str, Any]) -> dict[str, Any]:
        fields = {f"k{number}": f"{next(rounds)}" for number in range(3000)}
        labels = {**written["metadata"].get("labels", {}), **fields}
        finalizers = [f"example.com/{name}" for name in fields]
        return hostile_servers.patch(
            ("/metadata/labels", labels),
            ("/metadata/finalizers", finalizers),
            ("/data", {**written.get("data", {}), **fields}),
        )

    def denied(_: dict[str, Any]) -> dict[str, Any]:
        return {"allowed": False, "status": {"code": 403, "message": f'admission webhook "{"x" * MIB}'}}

    for kind, answer in (("Mutating", flooded), ("Validating", denied)):
        with hostile_servers.webhook(greedy.controlplane, greedy.namespace, kind, answer):
            report = greedy.sync({"a.yaml": config_map("a", value=kind)})
            assert bool(report.failures) == (answer is denied)
    assert len(greedy.data("a")) == 3001


ATTACKS = {
    each.__name__: each
    for each in (
        long_keys,
        keys_within_the_limits,
        a_long_author,
        aliases,
        many_keys,
        patterns_of_comments,
        long_lists,
        floods_of_live_fields,
        hostile_stores,
        hostile_webhooks,
    )
}


@pytest.fixture(scope="module", autouse=True)
def impatient(installation: Installation) -> Iterator[None]:
    """A file's keys are tried for two seconds, so that this takes no minutes; and some stores are in hostile hands."""
    with hostile_servers.stores() as urls:
        stores = yaml.safe_load(installation.agent.operator_file.read_text())["stores"]
        hostile = {name: {**stores["main"], "address": url, "allowedPaths": ["**"]} for name, url in urls.items()}
        limits = {"keySeconds": 2, "requestSeconds": 5}
        installation.configure(limits=limits, stores={**stores, **hostile})
        yield
    installation.configure()


@pytest.fixture
def victim(installation: Installation) -> Tenant:
    tenant = installation.tenant("victim")
    tenant.deploy({"s.yaml": tenant.seal(secret("s", value="0"))})
    return tenant


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_another_tenant_is_served_as_ever(
    installation: Installation, tenant: Tenant, victim: Tenant, attack: Callable[[Tenant], None]
) -> None:
    failed: list[Exception] = []

    def attacking() -> None:
        try:
            attack(tenant)
        except Exception as error:  # noqa: BLE001  # raised again by the test's own thread
            failed.append(error)

    thread = threading.Thread(target=attacking)
    times: list[float] = []
    with Watch(installation) as watch:
        thread.start()
        while thread.is_alive():
            began = time.monotonic()
            victim.sync({"s.yaml": victim.seal(secret("s", value=str(len(times) + 1)))}, seconds=60)
            assert victim.until_ready().ready
            times.append(time.monotonic() - began)
            thread.join(1)
    if failed:
        raise failed[0]
    print(f"{attack.__name__}: {max(times):.1f} s, silent {watch.silence:.1f} s, {watch.growth / MIB:.0f} MiB")  # noqa: T201
    assert max(times) < 30
    assert watch.silence < 5
    assert watch.growth < 300 * MIB


def test_the_agent_starts_again_after_all_of_it(installation: Installation, tenant: Tenant) -> None:
    a_long_author(tenant)
    installation.agent.stop()
    installation.agent.start()
    assert tenant.sync({"a.yaml": config_map("a", value="2")}).ready
    assert not installation.agent.audit_file.with_name(f"{installation.agent.audit_file.name}.unreadable").exists()
