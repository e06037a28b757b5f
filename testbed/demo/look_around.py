"""What to try while the demo's servers are left up."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from testbed import binaries

if TYPE_CHECKING:
    from testbed.demo.show import Show
    from testbed.demo.stage import Stage


def look_around(show: Show, stage: Stage) -> None:
    """Print commands that work as they stand, in another terminal."""
    agent, names, developer = stage.running(), stage.names, stage.developer
    options = f" --context {shlex.quote(stage.context)}" if stage.context else ""
    kubectl, command = f"kubectl{options}", "agent"
    first = [f"export PATH={_programs(stage)}:$PATH"]
    if not stage.context:
        first.append(f"export KUBECONFIG={stage.cluster.kubeconfig(stage.supervisor.folder / 'admin.kubeconfig')}")
    prod = names.tenants["prod"]
    show.heading("Everything is up until Ctrl-C. In another terminal:")
    for title, lines in (
        (
            "the cluster",
            [
                *first,
                f"{kubectl} get sgapp -A",
                f"{kubectl} edit configmap settings -n {names.tenants['dev']}      # and watch it heal",
                f"{kubectl} get events -n {prod}",
            ],
        ),
        (
            "the agent",
            [
                f"{command} status -A{options}",
                f"{command} sync shop -n {prod}{options}",
                f"{command} audit show {agent.audit_file}",
                f"tail -f {agent.folder.parent}/{agent.name}-*.log",
                f"curl http://127.0.0.1:{agent.port}/metrics",
            ],
        ),
        (
            "Git (a push is applied within ten seconds)",
            [
                f"export GIT_SSL_CAINFO={stage.git.ca_file}",
                f"git clone {stage.git.url_with_password(stage.repositories['shop'])} && cd shop",
            ],
        ),
        (
            "secrets in files",
            [
                f"export SOPS_AGE_KEY_FILE={developer.keys / 'staging.agekey'} GNUPGHOME={developer.gnupg}",
                f"{command} edit envs/staging/credentials.yaml      # in the clone",
            ],
        ),
        (
            "Vault",
            [
                f"export VAULT_ADDR={stage.bao.url} VAULT_TOKEN={stage.bao.root_token}",
                "bao kv put secret/shop/prod/database password=another      # and watch the pods roll",
            ],
        ),
    ):
        show.line(f"\n  # {title}")
        for line in lines:
            show.line(f"  {line}")
    show.line("\nCtrl-C ends it all" + (f"; {stage.context} is then left as it was" if stage.context else ""))


def _programs(stage: Stage) -> Path:
    """A folder with the programs by their plain names."""
    folder = stage.supervisor.folder / "bin"
    folder.mkdir()
    wanted = {"agent": Path(sys.executable).with_name("agent"), "bao": binaries.path("bao")}
    if not stage.context:
        wanted["kubectl"] = binaries.path("kubectl")
    for name, path in wanted.items():
        (folder / name).symlink_to(path)
    return folder
