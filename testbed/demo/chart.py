"""The step with a chart that makes a password and takes one from Vault: made once, and the same after the chart changes and the Secret is edited."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

from testbed.demo.show import expect
from testbed.processes import wait_until

if TYPE_CHECKING:
    from testbed.demo.show import Show, Step
    from testbed.demo.stage import Stage

FOLDER = "metrics/chart"
_CHART = "apiVersion: v2\nname: metrics\nversion: {version}\n"
_VALUES = "database: {{user: metrics, name: {name}, password: ''}}\n"
_TEMPLATE = """\
{{- $admin := randAlphaNum 24 }}
apiVersion: v1
kind: Secret
metadata: {name: {{ .Release.Name }}-admin}
data:
  password: {{ $admin | b64enc | quote }}
---
apiVersion: v1
kind: Secret
metadata: {name: {{ .Release.Name }}-database}
stringData:
  {{- with .Values.database }}
  url: {{ printf "postgres://%s:%s@db/%s" .user (.password | urlquery) .name | quote }}
  {{- end }}
  admin: http://admin:{{ $admin }}@localhost:9090
"""


def play(show: Show, stage: Stage) -> None:
    """Commit a chart and an Application that renders it."""
    if stage.recorder is None:
        return
    with show.step("a chart makes up a password and takes one from Vault: made once, and kept") as step:
        _deploy(stage, step)


def _deploy(stage: Stage, step: Step) -> None:
    developer, repository = stage.developer, stage.repositories["shop"]
    stored = developer.secret("vault shop/staging/metrics#password")
    _ = stage.bao.put("shop/staging/metrics", {"password": stored})
    commit = repository.commit(_files("1.0.0", "one"), "Add metrics", author="Dana", email="dana@example.com")
    metrics = stage.deploy("metrics")
    _ = metrics.wait("Ready", "True", revision=commit, seconds=60)
    made = stage.secret("staging", "metrics-admin").get("password", "")
    expect(
        re.fullmatch("[0-9A-Za-z]{24}", made), "a password of 24 characters in Secret metrics-admin", "another value"
    )
    developer.values["the password that a chart made up"] = made
    url = stage.secret("staging", "metrics-database")
    expect(url["admin"] == f"http://admin:{made}@localhost:9090", "the same one in Secret metrics-database", "another")
    step.saw("Secret metrics-admin     a password of 24 characters, made by the agent; signet-render saw a placeholder")
    step.saw("Secret metrics-database  the same one in a URL, beside one with the password from Vault")
    begin = time.monotonic()
    commit = repository.commit(_files("2.0.0", "two"), "Update metrics", author="Dana", email="dana@example.com")
    _ = metrics.wait("Ready", "True", revision=commit, seconds=60)
    after = stage.secret("staging", "metrics-database")
    expect(
        after["url"].endswith("@db/two") and after["url"] != url["url"], "the new database in the URL", "the old one"
    )
    kept = stage.secret("staging", "metrics-admin")["password"] == made and after["admin"] == url["admin"]
    expect(kept, "the password as it was", "another one")
    step.saw(f"chart 2.0.0              applied {time.monotonic() - begin:.1f} s later, with the same password")
    path = stage.cluster.path(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "metrics-admin", "namespace": stage.names.tenants["staging"]},
        }
    )
    chosen = developer.secret("the password that a person chose")
    _ = stage.cluster.merge(path, {"stringData": {"password": chosen}})
    _ = wait_until(
        lambda: stage.secret("staging", "metrics-database")["admin"] == f"http://admin:{chosen}@localhost:9090",
        60,
        "the password that was edited is taken",
    )
    expect(stage.secret("staging", "metrics-admin")["password"] == chosen, "the password as it was edited", "another")
    step.saw("edited by hand           taken, and the URL has it too")


def _files(version: str, name: str) -> dict[str, bytes]:
    texts = {
        f"{FOLDER}/Chart.yaml": _CHART.format(version=version),
        f"{FOLDER}/values.yaml": _VALUES.format(name=name),
        f"{FOLDER}/templates/secrets.yaml": _TEMPLATE,
    }
    return {path: text.encode() for path, text in texts.items()}


def helm() -> dict[str, object]:
    """What the Application renders."""
    return {
        "chart": {"path": FOLDER},
        "values": {"database": {"password": "vault://main/secret/shop/staging/metrics#password"}},
    }
