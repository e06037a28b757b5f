"""A push that a webhook announces: proven requests start runs at once, others learn nothing."""

from __future__ import annotations

import hmac
import json
import secrets
import time
from typing import TYPE_CHECKING

from testbed.demo.shop import ENVIRONMENTS
from testbed.demo.show import expect
from testbed.processes import wait_until
from testbed.requests import exchange

if TYPE_CHECKING:
    from pathlib import Path

    from testbed.demo.show import Show, Step
    from testbed.demo.stage import Stage

_NOTICE = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: notice}\ndata: {text: hello}\n"


def settings(stage: Stage, folder: Path) -> dict[str, object]:
    """`webhooks` of the operator's file, with a new secret."""
    value = stage.developer.values["webhook"] = secrets.token_hex(32)
    file = folder / "webhook-shop"
    file.touch(mode=0o600)
    _ = file.write_text(value)
    namespaces = [stage.names.tenants[name] for name in ENVIRONMENTS]
    return {"shop": {"sender": "github", "secretFile": str(file), "namespaces": namespaces}}


def play(show: Show, stage: Stage) -> None:
    """A commit that reaches all environments by one webhook."""
    with show.step("a webhook announces a push: applied at once in every environment") as step:
        _announced(stage, step)


def _announced(stage: Stage, step: Step) -> None:
    _ = stage.repositories["shop"].commit(
        {"base/notice.yaml": _NOTICE}, "Add a notice", author="Dana", email="dana@example.com"
    )
    forged = _deliver(stage, "not the secret of the webhook")
    expect(forged == 404, "404 for a request that is not proven", forged)
    begin = time.monotonic()
    taken = _deliver(stage, stage.developer.values["webhook"])
    expect(taken == 202, "202 for one that is", taken)
    paths = [f"/api/v1/namespaces/{stage.names.tenants[name]}/configmaps/notice" for name in ENVIRONMENTS]

    def applied() -> bool:
        return all(stage.cluster.request("GET", path)[0] == 200 for path in paths)

    _ = wait_until(applied, 60, "ConfigMap notice in every environment", interval=0.02)
    step.saw("POST /hooks/shop with another secret  404, and nothing happens")
    step.saw(f"POST /hooks/shop, proven              202, applied everywhere {time.monotonic() - begin:.1f} s later")


def _deliver(stage: Stage, secret: str) -> int:
    """As GitHub does; the answer's code."""
    repository = {"clone_url": stage.repositories["shop"].url}
    body = json.dumps({"ref": "refs/heads/main", "repository": repository}).encode()
    signature = hmac.digest(secret.encode(), body, "sha256").hex()
    url = f"http://127.0.0.1:{stage.running().hook_port}/hooks/shop"
    return exchange("POST", url, body, headers={"X-Hub-Signature-256": f"sha256={signature}"}).status
