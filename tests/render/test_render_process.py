"""One process of signet-render: what it says as it starts, answers that are none, large ones, and names that are no text."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cost import longest_turn
from tight import TIGHT

from agent.adapters.render import protocol
from agent.adapters.render.pool import Renderers
from agent.adapters.render.process import Helper
from agent.engine.renderers import Kustomization, SourceTree
from agent.values.errors import ConfigError, DefectError
from agent.values.ids import ApplicationId

if TYPE_CHECKING:
    from collections.abc import Callable

HELLO = '{"hello": {"build": "b", "kustomize": "v", "confined": "code"}}'
ONE = ApplicationId("shop", "web", "1")
CONFIG = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a%d}\ndata: {a: %s}\n"


@pytest.fixture
def saying(tmp_path: Path) -> Callable[..., Path]:
    """A program that answers its first requests with these texts, and then waits. `pid` beside it has its process."""

    def program(*answers: str) -> Path:
        (tmp_path / "answers").write_bytes(
            b"".join(protocol.HEAD.pack(len(each)) + each for each in (each.encode() for each in answers))
        )
        script = tmp_path / "program"
        script.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\n/bin/cat {tmp_path}/answers\nexec /bin/sleep 60\n")
        script.chmod(0o755)
        return script

    return program


def is_gone(folder: Path) -> bool:
    return not Path("/proc", (folder / "pid").read_text().strip()).exists()


@pytest.mark.parametrize(
    "hello", ["{}", '{"hello": {"build": "b"}}', '{"hello": null}', "[]", "null", "hello", "{}\n{"]
)
async def test_a_program_that_does_not_say_what_it_is_is_ended(
    saying: Callable[..., Path], tmp_path: Path, hello: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        _ = await Helper.start(saying(hello), TIGHT)
    assert caught.value.hint
    assert is_gone(tmp_path)


@pytest.mark.parametrize(
    "answer",
    ["{}", '{"error": {}}', '{"error": null}', '{"read": 1}', '{"read": []}\n1', '{"read": []}\n{"file": "a"}'],
)
async def test_a_process_whose_answer_is_none_is_ended(
    saying: Callable[..., Path], tmp_path: Path, answer: str
) -> None:
    renderers = Renderers(saying(HELLO, answer))
    with pytest.raises(DefectError, match="does not fit the request"):
        _ = await renderers.kustomize(ONE, Kustomization("", SourceTree.of({})))
    assert renderers.resting == 0
    await renderers.close()
    assert is_gone(tmp_path)


async def test_a_large_answer_is_read_beside_the_loop(renderers: Renderers) -> None:
    files = {f"{n}.yaml": (CONFIG % (n, "[" + "abc, " * 8000 + "]")).encode() for n in range(100)}
    files["kustomization.yaml"] = f"resources: [{', '.join(files)}]\n".encode()
    trees = [SourceTree.of({**files, "new.txt": str(n).encode()}) for n in range(3)]

    async def render() -> None:
        assert len((await renderers.kustomize(ONE, Kustomization("", trees.pop()))).objects) == 100

    assert await longest_turn(render) < 0.03


async def test_files_whose_names_are_no_text_are_not_sent(renderers: Renderers) -> None:
    files = {"kustomization.yaml": b"resources: [a.yaml]\n", "a.yaml": (CONFIG % (0, "b")).encode()}
    odd = {os.fsdecode(b"\xff.yaml"): b"", os.fsdecode(b"\xfe/kustomization.yaml"): b"", "\ud800": b""}
    asked = SourceTree.of({**files, **odd})
    assert asked == SourceTree.of(files)
    assert (await renderers.kustomize(ONE, Kustomization("", asked))).objects


async def test_text_of_any_script_is_sent_as_it_is(renderers: Renderers) -> None:
    files = {"kustomization.yaml": b"resources: [a.yaml]\n", "a.yaml": (CONFIG % (0, "'ü€𝄞\u2028'")).encode()}
    (made,) = (await renderers.kustomize(ONE, Kustomization("", SourceTree.of(files)))).objects
    assert made.tree["data"] == {"a": "ü€𝄞\u2028"}
