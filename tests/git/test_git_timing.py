"""Each exchange with a Git server is timed, whether or not it succeeds; what is read of a mirror is none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from agent.adapters.git.mirrors import Mirrors
from agent.api.model import validate
from agent.api.operator import GitSettings, Limits
from agent.values.errors import SourceError
from agent.values.fingerprint import Fingerprinter
from agent.values.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from agent.api.sources import Source
    from agent.engine.credentials import GitCredential
    from testbed.repository import Repository


async def test_exchanges_are_timed(
    tmp_path: Path, host: str, repository: Repository, source: Callable[..., Source], credential: GitCredential
) -> None:
    commit = repository.commit({"a.yaml": "a: 1\n"})
    seen: list[tuple[str, bool, float]] = []
    mirrors = Mirrors(
        tmp_path / "mirrors",
        validate(GitSettings, {"allowedHosts": [host]}),
        validate(Limits, {}),
        Fingerprinter.derive(Secret(b"k" * 32, "test:key"), "git"),
        observe=lambda *each: seen.append(each),
    )
    assert await mirrors.head(source(), credential) == commit
    await mirrors.fetch(source(), credential)
    await mirrors.files(source(), credential, commit)
    assert [each[:2] for each in seen] == [("ask", True), ("fetch", True)]
    with pytest.raises(SourceError):
        await mirrors.head(source(revision={"branch": "none"}), credential)
    await mirrors.close()
    assert [each[:2] for each in seen[2:]] == [("ask", False)]
    assert all(seconds > 0 for _, _, seconds in seen)
