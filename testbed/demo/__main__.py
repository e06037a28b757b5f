"""`python -m testbed.demo`: exit code 0 when every step was verified."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from typing import TYPE_CHECKING

from render import build as renderer
from testbed import binaries
from testbed.controlplane import PROGRAMS
from testbed.demo import deployment, laptop, overlay, proof
from testbed.demo.look_around import look_around
from testbed.demo.show import Show, StepFailedError, expect
from testbed.demo.stage import Stage
from testbed.existing import ContextError
from testbed.processes import ProcessError, terminated_as_interrupt

if TYPE_CHECKING:
    from collections.abc import Sequence

_INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m testbed.demo", description="The agent's whole job against real servers, each step verified."
    )
    parser.add_argument("--keep", action="store_true", help="leave everything running and say how to look around")
    parser.add_argument(
        "--context",
        default="",
        metavar="NAME",
        help="use the cluster of this context in your kubeconfig, in namespaces that are deleted afterwards; needs no Go",
    )
    options = parser.parse_args(argv)
    try:
        with terminated_as_interrupt():
            return _play(options.context, keep=options.keep)
    except KeyboardInterrupt:
        print(f"cleaned up: {_gone(options.context)}", flush=True)
        return _INTERRUPTED
    except binaries.BuildError as error:
        print(
            f"error: {error}\nhint: with CONTEXT=name the demo uses your own cluster and builds nothing",
            file=sys.stderr,
        )
    except (ContextError, ProcessError) as error:
        print(f"error: {error}", file=sys.stderr)
    return 1


def _gone(context: str) -> str:
    servers = "the servers are stopped, and their folders are removed"
    return f"{servers}; {context} is as it was" if context else servers


def _play(context: str, *, keep: bool) -> int:
    show = Show()
    begin = time.monotonic()
    with Stage(show, context) as stage:
        try:
            _steps(show, stage, keep=keep)
            show.line(f"\nin {time.monotonic() - begin:.0f} s")
            show.line(show.summary())
            if keep:
                look_around(show, stage)
                _ = signal.pause()
        except StepFailedError:
            show.line(f"\n{show.summary()}; the remaining steps did not run")
            return 1
        except KeyboardInterrupt:
            for number in (signal.SIGINT, signal.SIGTERM):
                _ = signal.signal(number, signal.SIG_IGN)  # a second one would leave servers behind
            show.interrupted("cleaning up, which takes a few seconds …")
            raise
    return 0


def _steps(show: Show, stage: Stage, *, keep: bool) -> None:
    missing = [] if stage.context else binaries.missing(PROGRAMS)
    seconds = sum(binaries.PROGRAMS[name].expected for name in missing)
    if not stage.context and not renderer.cached().exists():
        missing, seconds = [*missing, renderer.NAME], seconds + overlay.BUILD_SECONDS
    if missing:
        minutes = seconds / 60
        show.paragraph(
            f"First use: {', '.join(missing)} are built in the background, which takes about {minutes:.0f} minutes on two cores."
        )
    show.heading("On a developer's laptop: no cluster needed")
    laptop.play(show, stage.developer)
    show.heading("With servers")
    with show.step("passwords go into OpenBao, and the application is pushed to Git over HTTPS") as step:
        stage.fill()
        repository = stage.repositories["shop"]
        files = stage.developer.files()
        commit = repository.commit(files, "Deploy the shop", author="Dana", email="dana@example.com")
        expect(repository.read("base/web.yaml").startswith("apiVersion"), "the files in the repository", "others")
        step.saw(f"{repository.url}  {commit[:12]}: {len(files)} files, secrets encrypted")
    title = (
        f"the cluster of context {stage.context} answers"
        if stage.context
        else "etcd, kube-apiserver and controllers run"
    )
    with show.step(f"{title}; Signet is not installed yet") as step:
        version = stage.cluster.get("/version")["gitVersion"]
        stage.refuse_foreign()
        step.saw(f"{stage.cluster.url}  Kubernetes {version}")
    deployment.play(show, stage)
    proof.play(show, stage)
    if not keep:
        proof.stop(show, stage)


if __name__ == "__main__":
    sys.exit(main())
