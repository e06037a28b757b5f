"""What files may ask of a renderer: nothing of the machine, refused by the code alone as well as by the kernel, within limits."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tight import TIGHT

from agent.adapters.render import location, protocol
from agent.adapters.render.pool import Renderers
from agent.adapters.render.process import Helper
from agent.api.operator import RenderLimits
from agent.engine.renderers import Kustomization, Rendered, SourceTree
from agent.values.errors import ConfigError, RemoteBaseError, RenderError, RenderLimitError
from agent.values.ids import ApplicationId

if TYPE_CHECKING:
    from agent.values.errors import AgentError

SERVICE = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\n"
FUNCTION = """\
apiVersion: example.com/v1
kind: Made
metadata:
  name: x
  annotations:
    config.kubernetes.io/function: |
      %s
"""
BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)
)
PATCH = SERVICE + "spec:\n" + "".join(f"  {line}\n" for line in BOMB.splitlines())
SMALL = SERVICE + "spec: {a: &a [" + ", ".join("x" * 40) + "], b: [" + ", ".join(["*a"] * 40) + "]}\n"

REFUSED: dict[str, tuple[dict[str, str], type[AgentError], str]] = {
    "a file of the machine": (
        {"kustomization.yaml": "resources: [../../../etc/passwd]\n"},
        RenderError,
        "kustomization.yaml:1:13: no such file or folder in the repository",
    ),
    "an absolute path": (
        {"kustomization.yaml": "configMapGenerator: [{name: x, files: [/etc/passwd]}]\n"},
        RenderError,
        "kustomization.yaml:1:40: no such file or folder",
    ),
    "a base by HTTPS": (
        {"kustomization.yaml": "resources:\n- https://user:hunter2@127.0.0.1:1/x.yaml\n"},
        RemoteBaseError,
        "kustomization.yaml:2:3: remote bases are not fetched (address https://127.0.0.1:1/x.yaml)",
    ),
    "a base by SSH": (
        {"kustomization.yaml": "resources: [git@example.com:a/b]\n"},
        RemoteBaseError,
        "kustomization.yaml:1:13",
    ),
    "a base by SSH in a field of another case": (
        {"kustomization.yaml": "Resources: [git@example.com:a/b]\n"},
        RemoteBaseError,
        "kustomization.yaml",
    ),
    "a base by SSH in a merged map": (
        {"kustomization.yaml": "<<: {resources: [git@example.com:a/b]}\n"},
        RemoteBaseError,
        "kustomization.yaml",
    ),
    "a variable of the environment in a field of another case": (
        {"kustomization.yaml": "secretGenerator: [{name: a, Envs: [e.env]}]\n", "e.env": "PATH\n"},
        RenderError,
        "e.env:1",
    ),
    "a base at GitHub": (
        {"kustomization.yaml": "bases: [github.com/a/b]\n"},
        RemoteBaseError,
        "kustomization.yaml:1:9",
    ),
    "a base by file://": (
        {"kustomization.yaml": "components: ['file:///etc']\n"},
        RemoteBaseError,
        "kustomization.yaml:1:14",
    ),
    "a remote patch": (
        {"kustomization.yaml": "patches: [{path: 'http://127.0.0.1:1/'}]\n"},
        RemoteBaseError,
        "kustomization.yaml:1:18",
    ),
    "a remote source of a generator": (
        {"kustomization.yaml": "secretGenerator: [{name: a, files: ['k=http://127.0.0.1:1/']}]\n"},
        RemoteBaseError,
        "kustomization.yaml:1:37",
    ),
    "a remote schema": (
        {"kustomization.yaml": "openapi: {path: 'https://127.0.0.1:1/'}\n"},
        RemoteBaseError,
        "kustomization.yaml:1:17",
    ),
    "a remote source of a generator's file": (
        {
            "kustomization.yaml": "generators: [g.yaml]\n",
            "g.yaml": "apiVersion: builtin\nkind: ConfigMapGenerator\nmetadata: {name: x}\nfiles: ['http://127.0.0.1:1/']\n",
        },
        RemoteBaseError,
        "g.yaml:4",
    ),
    "a chart": (
        {"kustomization.yaml": "helmCharts:\n- {name: x, repo: 'https://127.0.0.1:1'}\n"},
        RenderError,
        "kustomization.yaml:2:3: a chart is not rendered by a kustomization",
    ),
    "a chart by a generator": (
        {
            "kustomization.yaml": "generators: [g.yaml]\n",
            "g.yaml": "apiVersion: builtin\nkind: HelmChartInflationGenerator\nmetadata: {name: x}\nname: x\n",
        },
        RenderError,
        "g.yaml:2: a chart is not rendered by a kustomization",
    ),
    "a program": (
        {"kustomization.yaml": "generators: [g.yaml]\n", "g.yaml": FUNCTION % "exec: {path: /bin/true}"},
        RenderError,
        "g.yaml:2: a function is not run, neither as a program nor in a container (kind Made)",
    ),
    "a container": (
        {"kustomization.yaml": "transformers: [g.yaml]\n", "g.yaml": FUNCTION % "container: {image: x, network: true}"},
        RenderError,
        "g.yaml:2: a function is not run",
    ),
    "a plugin": (
        {
            "kustomization.yaml": "generators: [g.yaml]\n",
            "g.yaml": "apiVersion: example.com/v1\nkind: Plug\nmetadata: {name: x}\n",
        },
        RenderError,
        "g.yaml:2: a plugin that is no part of kustomize is not run (kind Plug)",
    ),
    "a variable of the environment": (
        {"kustomization.yaml": "configMapGenerator: [{name: x, envs: [e.env]}]\n", "e.env": "A=1\n# B\nHOME\n"},
        RenderError,
        "e.env:3: a name without a value",
    ),
    "a cycle": (
        {"kustomization.yaml": "resources: [a]\n", "a/kustomization.yaml": "resources: [../a]\n"},
        RenderError,
        "kustomize refuses it (says",
    ),
    "aliases that multiply": (
        {"kustomization.yaml": "resources: [a.yaml]\n", "a.yaml": BOMB},
        RenderLimitError,
        "a.yaml:1: aliases unfold to more than a renderer takes",
    ),
    "aliases that multiply in a kustomization": (
        {"kustomization.yaml": BOMB},
        RenderLimitError,
        "kustomization.yaml:1: aliases unfold to more than a renderer takes",
    ),
    "aliases that multiply in a patch in place": (
        {"kustomization.yaml": json.dumps({"resources": ["a.yaml"], "patches": [{"patch": PATCH}]}), "a.yaml": SERVICE},
        RenderLimitError,
        "kustomization.yaml:1: aliases unfold to more than a renderer takes",
    ),
    "aliases that multiply in a block of text": (
        {
            "kustomization.yaml": "resources: [a.yaml]\npatchesStrategicMerge:\n- |\n  " + PATCH.replace("\n", "\n  "),
            "a.yaml": SERVICE,
        },
        RenderLimitError,
        "kustomization.yaml:1: aliases unfold to more than a renderer takes",
    ),
    "aliases that multiply in a patch that hides them": (
        {
            "kustomization.yaml": 'resources: [a.yaml]\npatches: [{patch: "'
            + PATCH.replace("&", r"\x26").replace("*", r"\u002A").replace("\n", r"\n")
            + '"}]\n',
            "a.yaml": SERVICE,
        },
        RenderLimitError,
        "kustomization.yaml:1: aliases unfold to more than a renderer takes",
    ),
    "aliases that multiply in a patch of a transformer": (
        {
            "kustomization.yaml": "resources: [a.yaml]\ntransformers: [t.yaml]\n",
            "t.yaml": json.dumps(
                {"apiVersion": "builtin", "kind": "PatchTransformer", "metadata": {"name": "t"}, "patch": PATCH}
            ),
            "a.yaml": SERVICE,
        },
        RenderLimitError,
        "t.yaml:1: aliases unfold to more than a renderer takes",
    ),
    "aliases that multiply in a transformer in place": (
        {
            "kustomization.yaml": json.dumps(
                {
                    "resources": ["a.yaml"],
                    "transformers": [
                        json.dumps(
                            {
                                "apiVersion": "builtin",
                                "kind": "PatchTransformer",
                                "metadata": {"name": "t"},
                                "patch": PATCH,
                            }
                        )
                    ],
                }
            ),
            "a.yaml": SERVICE,
        },
        RenderLimitError,
        "kustomization.yaml:1: aliases unfold to more than a renderer takes",
    ),
    "many patches that multiply a little": (
        {
            "kustomization.yaml": json.dumps(
                {"resources": ["a.yaml"], "patches": [{"patch": SMALL} for _ in range(200)]}
            ),
            "a.yaml": SERVICE,
        },
        RenderLimitError,
        "kustomization.yaml:1: aliases unfold to more than a renderer takes",
    ),
    "an object that is larger than a cluster takes": (
        {
            "kustomization.yaml": "resources: [a.yaml]\n",
            "a.yaml": SERVICE + "data: {" + ", ".join(f"k{n}: {'x' * 900_000}" for n in range(5)) + "}\n",
        },
        RenderLimitError,
        "an object is larger than a cluster takes",
    ),
    "no kustomization": (
        {"a.yaml": SERVICE},
        RenderError,
        "there is no kustomization.yaml in this folder, or no such folder",
    ),
    "output without end": (
        {
            "kustomization.yaml": "configMapGenerator:\n"
            + "".join(f"- {{name: a{n}, files: [big]}}\n" for n in range(6)),
            "big": "x" * 900_000,
        },
        RenderLimitError,
        "more output than a renderer may give",
    ),
}

MULTIPLYING = {
    "kustomization.yaml": "resources: [d14]\n",
    "d0/kustomization.yaml": "resources: [a.yaml]\n",
    "d0/a.yaml": SERVICE,
    **{
        f"{side}{n}/kustomization.yaml": f"resources: [../{'d' if side != 'd' else 'l'}{n - (side != 'd')}{', ../r' + str(n) if side == 'd' else ''}]\n"
        + (f"namePrefix: {side}-\n" if side != "d" else "")
        for n in range(1, 15)
        for side in "dlr"
    },
}


async def ask(helper: Helper, files: dict[str, str], path: str = "") -> Rendered:
    sources = SourceTree.of({name: text.encode() for name, text in files.items()})
    put = await helper.ask(protocol.put(sources))
    return protocol.rendered(
        put if "error" in put else await helper.ask(protocol.kustomize(Kustomization(path, sources), TIGHT)),
        helper.build,
    )


@pytest.mark.parametrize("name", REFUSED)
async def test_what_is_refused_says_where_and_the_next_request_is_answered(
    confined: Helper, program: Path, name: str
) -> None:
    files, error, text = REFUSED[name]
    found = (await ask(confined, files)).error
    assert isinstance(found, error)
    assert text in str(found)
    assert found.hint
    assert (await ask(confined, {"kustomization.yaml": "resources: [a.yaml]\n", "a.yaml": SERVICE})).objects


async def test_bases_that_multiply_end(hurried: Helper) -> None:
    try:
        found = (await ask(hurried, MULTIPLYING)).error
    except RenderLimitError as ended:  # by time or memory
        found = ended
        assert not hurried.alive
    assert isinstance(found, RenderLimitError)
    assert found.hint


async def test_memory_without_end_ends_that_process_alone(hurried: Helper) -> None:
    nested = "[" * 9000 + "]" * 9000
    files = {
        "kustomization.yaml": "configMapGenerator:\n"
        + "".join(f"- {{name: a{n}, files: [big]}}\n" for n in range(2000)),
        "big": "x" * 900_000,
        "deep.yaml": nested,
    }
    with pytest.raises(RenderLimitError, match=r"memory limit|longer") as caught:
        _ = await ask(hurried, files)
    assert caught.value.facts.keys() <= {"memory_mib", "seconds"}
    assert not hurried.alive


def application(namespace: str) -> ApplicationId:
    return ApplicationId(namespace, "web", "1")


GOOD = Kustomization("", SourceTree.of({"kustomization.yaml": b"resources: [a.yaml]\n", "a.yaml": SERVICE.encode()}))


def stuck(tmp_path: Path) -> Path:
    """A program that says hello as signet-render does, and then nothing."""
    program = tmp_path / "stuck"
    answer = b'{"hello":{"build":"b","kustomize":"v","confined":"code"}}'
    script = f"#!/bin/sh\nprintf '\\000\\000\\000\\{len(answer):03o}%s' '{answer.decode()}'\nexec /bin/sleep 60\n"
    program.write_text(script)
    program.chmod(0o755)
    return program


async def test_what_takes_too_long_is_killed(tmp_path: Path) -> None:
    renderers = Renderers(stuck(tmp_path), RenderLimits(seconds=1))
    with pytest.raises(RenderLimitError, match="longer than it may"):
        _ = await renderers.kustomize(application("a"), GOOD)
    assert renderers.resting == 0
    await renderers.close()


async def test_a_namespace_that_ended_renderers_twice_waits_and_others_do_not(tmp_path: Path, program: Path) -> None:
    now = 0.0
    link = tmp_path / "program"
    link.symlink_to(stuck(tmp_path))
    renderers = Renderers(link, RenderLimits(seconds=5), monotonic=lambda: now)
    for _ in range(2):
        with pytest.raises(RenderLimitError, match="longer than it may"):
            _ = await renderers.kustomize(application("bad"), GOOD)
    link.unlink()
    link.symlink_to(program)
    with pytest.raises(RenderLimitError, match="crashed more than once"):
        _ = await renderers.kustomize(application("bad"), GOOD)
    assert (await renderers.kustomize(application("good"), GOOD)).objects
    now = 31.0
    assert (await renderers.kustomize(application("bad"), GOOD)).objects
    await renderers.close()


async def test_a_renderer_that_is_cancelled_is_not_asked_again(tmp_path: Path) -> None:
    renderers = Renderers(stuck(tmp_path))
    task = asyncio.ensure_future(renderers.kustomize(application("a"), GOOD))
    await asyncio.wait({task}, timeout=0.5)
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()
    assert renderers.resting == 0
    await renderers.close()


async def test_a_process_is_used_again_and_ends_when_it_is_idle(program: Path) -> None:
    renderers = Renderers(program, idle=0.2)
    assert (await renderers.kustomize(application("a"), GOOD)).objects
    assert renderers.resting == 1
    async with asyncio.timeout(10):
        while renderers.resting:  # noqa: ASYNC110  # nothing else says that a timer ran
            await asyncio.sleep(0.02)
    assert (await renderers.kustomize(application("a"), GOOD)).objects
    await renderers.close()
    assert renderers.resting == 0


async def test_two_processes_at_most_and_one_for_a_namespace(program: Path) -> None:
    renderers = Renderers(program)
    await asyncio.gather(*(renderers.kustomize(application("a"), GOOD) for _ in range(8)))
    assert renderers.resting == 1
    await asyncio.gather(*(renderers.kustomize(application(f"n{n}"), GOOD) for n in range(8)))
    assert renderers.resting == 2
    await renderers.close()


async def test_it_has_no_environment_and_no_file_but_its_pipes(program: Path) -> None:
    helper = await Helper.start(program, TIGHT)
    proc = Path(f"/proc/{helper._process.pid}")
    opened = {str(each.readlink()).partition(":")[0] for each in (proc / "fd").iterdir()}
    assert opened <= {"pipe", "socket", "/dev/null", "anon_inode"}
    assert (proc / "environ").read_bytes() == b""
    facts = dict(line.split(":\t", 1) for line in (proc / "status").read_text().splitlines() if ":\t" in line)
    assert (facts["Seccomp"], facts["NoNewPrivs"]) == ("2", "1")
    await helper.end()


def test_without_the_program_the_error_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is not installed") as caught:
        _ = location.program(str(tmp_path / "signet-render"))
    assert "make build" in caught.value.hint
