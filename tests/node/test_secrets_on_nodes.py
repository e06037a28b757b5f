"""What nodes hold of secrets that went through them: nothing on a disk, in a log, in a command line or in an environment. It runs last."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from workloads import digest, reader, secret, until_read

from image import build
from image.archive import Image
from testbed.canary import Canaries, ProcessWatch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from testbed.installation import Tenant
    from testbed.node.installation import PodInstallation

SECRETS = "*/volumes/kubernetes.io~secret"
POD_FOLDERS = ("etc", "opt", "run", "tmp", "usr", "var")
"""Of the root of a container; the others show the kernel."""


def test_secrets_reach_pods_and_no_disk_log_or_process(installation: PodInstallation, tenant: Tenant) -> None:
    sealed, stored = installation.canary("sealed"), installation.canary("stored")
    path = f"apps/{tenant.namespace}"
    _ = installation.openbao.put(path, {"password": stored}, mount=installation.mount)
    reference = f"vault://main/{installation.mount}/{path}#password"
    agents = [installation.processes(pod)[0] for pod in installation.pods()]
    with ProcessWatch(*agents) as watch:
        _ = tenant.deploy(
            {
                "sealed.yaml": tenant.seal(secret("sealed", password=sealed)),
                "stored.yaml": secret("stored", password=reference),
                "web.yaml": reader("web", sealed="password", stored="password"),
            }
        )
        until_read(tenant, "web", {"sealed": digest(sealed), "stored": digest(stored)})

    canaries = Canaries(installation.canaries)
    found = watch.search(canaries) + canaries.search_text(installation.logs(), "logs of agents")
    found += canaries.search_process(*agents)
    places = [Path(f"/proc/{pid}/root/{folder}") for pid in agents for folder in POD_FOLDERS]
    for node in installation.nodes.nodes:
        places += [*node.disk, node.root / "run/containerd"]
    files = list(_changed(places, since=installation.began))
    found += canaries.search_files(*files)

    assert not found, [str(each) for each in found]
    assert watch.processes > 1, "git was seen at work"
    assert {"db", "json", "log"} <= {each.name.rpartition(".")[2] for each in files}, "there was something to search"
    image = Image.read(build.archive())
    layers = [(layer, member, content) for layer in image.layers for member, content in image.members(layer)]
    assert not [each for _, member, content in layers for each in canaries.search_text(content, member.name)]
    assert any(b"signet-gitops.dev" in content for _, _, content in layers), "layers were searched"
    volumes = [each for node in installation.nodes.nodes for each in (node.root / "var/lib/kubelet/pods").glob(SECRETS)]
    in_memory = {finding.label for finding in canaries.search_files(*volumes)}
    assert {label.rpartition("-")[0] for label in in_memory} == {"sealed", "stored"}, "what is in memory is found"


def _changed(places: Iterable[Path], *, since: float) -> Iterator[Path]:
    """Files and links below these that were made or changed `since` then, in Unix seconds: images are older than any secret."""
    for place in places:
        for folder, folders, names in os.walk(place):
            folders[:] = [each for each in folders if not Path(folder, each).is_symlink()]
            for name in names:
                path = Path(folder, name)
                with contextlib.suppress(FileNotFoundError):
                    if path.lstat().st_ctime >= since:
                        yield path
