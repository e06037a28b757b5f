"""Artifacts over the testbed's registry, and over servers that only say that they are one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from oci_sources import lying

from agent.adapters.oci import credential
from agent.adapters.oci.artifacts import Artifacts
from agent.adapters.oci.charts import Charts
from agent.adapters.oci.keeping import Kept
from agent.api.model import validate
from agent.api.operator import Limits
from agent.api.registries import RegistrySettings, Servers
from agent.values.fingerprint import Fingerprinter
from agent.values.secret import Secret

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator
    from pathlib import Path

    from oci_sources import Liar

    from agent.engine.credentials import GitCredential
    from agent.values.tree import Tree
    from testbed.registry import Registry


@pytest.fixture
def login(registry: Registry) -> GitCredential:
    """As out of a Secret that `kubectl create secret docker-registry` made."""
    data = {
        ".dockerconfigjson": Secret(registry.docker_config().encode(), "test:config"),
        "ca.crt": Secret(registry.ca_pem.encode(), "test:ca"),
    }
    return credential.of_secret(data, registry.host)


@pytest.fixture
def liar() -> Generator[Liar]:
    with lying() as running:
        yield running


@pytest.fixture
async def make_artifacts(tmp_path: Path) -> AsyncGenerator[Callable[..., Artifacts]]:
    """Artifacts that may talk to these hosts, by HTTP to those of `http`, closed at the end."""
    made: list[Kept] = []

    def make(
        *hosts: str, http: list[str] | None = None, limits: dict[str, Tree] | None = None, **oci: Tree
    ) -> Artifacts:
        named: list[Tree] = [*hosts, *(http or [])]
        settings = validate(
            RegistrySettings, {"allowedHosts": named, "httpHosts": [*(http or [])], "timeoutSeconds": 20, **oci}
        )
        fingerprinter = Fingerprinter.derive(Secret(b"k" * 32, "test:key"), "mirror")
        given = validate(Limits, limits or {})
        made.append(Kept(tmp_path / "artifacts", given, fingerprinter))
        return Artifacts(made[-1], settings, given)

    yield make
    for each in made:
        await each.close()


@pytest.fixture
async def make_charts(tmp_path: Path) -> AsyncGenerator[Callable[..., Charts]]:
    """Charts of these registries, and of repositories on the hosts of `http`, closed at the end."""
    made: list[Kept] = []

    def make(*hosts: str, http: list[str] | None = None, limits: dict[str, Tree] | None = None, **oci: Tree) -> Charts:
        plain: list[Tree] = [*(http or [])]
        registries = validate(RegistrySettings, {"allowedHosts": [*hosts], "timeoutSeconds": 20, **oci})
        repositories = validate(Servers, {"allowedHosts": plain, "httpHosts": plain, "timeoutSeconds": 20})
        fingerprinter = Fingerprinter.derive(Secret(b"k" * 32, "test:key"), "mirror")
        given = validate(Limits, limits or {})
        made.append(Kept(tmp_path / "charts", given, fingerprinter))
        return Charts(made[-1], Artifacts(made[-1], registries, given), registries, repositories, given)

    yield make
    for each in made:
        await each.close()
