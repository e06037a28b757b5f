"""An Application that renders an overlay with encrypted files, references and variables, against real servers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from manifests_written import config_map, secret

if TYPE_CHECKING:
    from testbed.installation import Installation, Tenant


def test_an_overlay_with_secrets_is_applied_and_healed(installation: Installation, tenant: Tenant):
    first, second, variable = (installation.canary(name) for name in ("overlay", "overlay-new", "variable"))
    overlay = "resources: [../base]\nnamePrefix: prod-\nsecretGenerator:\n- {name: conf, files: [conf.yaml]}\n"
    files = {
        "base/kustomization.yaml": "resources: [db.yaml, settings.yaml]\n",
        "base/db.yaml": tenant.seal(secret("db", password=first)),
        "base/settings.yaml": config_map("settings", host="${HOST}"),
        "prod/kustomization.yaml": overlay + "generatorOptions: {disableNameSuffixHash: true}\n",
        "prod/conf.yaml": tenant.seal(f"data:\n  token: {second}\n"),
        "more/api.yaml": secret("api", key="${API_KEY}"),
        "vars.yaml": tenant.seal(f"API_KEY: {variable}\n", "--encrypted-regex", "KEY"),
    }
    source = tenant.source("more")
    spec = {
        "render": {"kustomize": {"path": "prod"}},
        "substitute": {"variables": {"HOST": "h"}, "files": ["vars.yaml"]},
    }
    tenant.deploy(files, source=source, **spec)
    assert tenant.secret("prod-db") == {"password": first}
    assert tenant.secret("prod-conf") == {"conf.yaml": f"data:\n    token: {second}\n"}
    assert tenant.secret("api") == {"key": variable}
    assert tenant.data("prod-settings") == {"host": "h"}

    report = tenant.sync({"prod/kustomization.yaml": overlay + "resources: [none.yaml]\n"})
    assert report.failure(reason="Render")["hint"]
    tenant.sync({"prod/kustomization.yaml": overlay, "base/db.yaml": tenant.seal(secret("db", password=second))})
    tenant.until_ready()
    assert tenant.secret("prod-db") == {"password": second}
