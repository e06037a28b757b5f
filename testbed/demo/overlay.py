"""The step with an overlay: what passes between the agent and signet-render is recorded, shown, and compared with what was applied."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from agent.adapters.render import location
from agent.values.errors import ConfigError
from render import build as renderer
from testbed import binaries
from testbed.agent import ROOT
from testbed.canary import Canaries
from testbed.demo.shop import secret_manifest
from testbed.demo.show import expect

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from testbed.demo.shop import Developer
    from testbed.demo.show import Show, Step
    from testbed.demo.stage import Stage

BUILD_SECONDS = 60
"""To build signet-render beside what the control plane has compiled already, on two cores."""
_FOLDER = "reports/staging"
_RULES = """\
- path_regex: ^reports/.*\\.env$
  age: {recipient}
- path_regex: ^reports/
  encrypted_regex: ^(data|stringData)$
  age: {recipient}
"""
_URL = "postgres://reports:${vault://main/secret/shop/staging/reports?encode=url#password}@db/reports"
_FILES = {
    "reports/base/kustomization.yaml": "resources: [reports.yaml]\n",
    "reports/base/reports.yaml": """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: reports}
spec:
  selector: {matchLabels: {app: reports}}
  template:
    metadata: {labels: {app: reports}}
    spec:
      automountServiceAccountToken: false
      containers:
      - name: reports
        image: busybox:1.37
        command: [sleep, infinity]
        envFrom: [{secretRef: {name: database}}, {secretRef: {name: smtp}}]
""",
    f"{_FOLDER}/kustomization.yaml": f"""\
resources: [../base, smtp.yaml]
namePrefix: staging-
replicas: [{{name: reports, count: 2}}]
secretGenerator:
- name: database
  envs: [database.env]
  literals: ["url={_URL}"]
""",
}
_PLACEHOLDER = re.compile(r"sGnT0k[0-9A-Za-z]{24}K0tNgS")


@dataclass(frozen=True, slots=True)
class Recorder:
    """Stands between the agent and signet-render, as a program, and keeps every byte of both pipes in `folder`."""

    folder: Path
    program: Path

    @classmethod
    def made(cls, folder: Path) -> Recorder | None:
        """None where signet-render is not built."""
        try:
            behind = location.program()
        except ConfigError:
            return None
        folder.mkdir(mode=0o700)
        script, tee = folder / "signet-render", shutil.which("tee")
        assert tee is not None
        _ = script.write_text(
            f'#!/bin/sh\n{tee} "{folder}/given-$$" | "{behind}" "$@" | {tee} "{folder}/gave-$$"\n', "utf-8"
        )
        script.chmod(0o700)
        return cls(folder, script)

    def given(self, path: str) -> str:
        """A file as it was given last; an empty text where it was not."""
        texts = [json.loads(frame).get("put", {}).get("files", {}).get(path, "") for frame in self._frames("given")]
        return next((text for text in reversed(texts) if text), "")

    def gave(self, kind: str, name: str) -> list[dict[str, Any]]:
        """The objects of this kind whose name begins with `name`."""
        lines = (line for frame in self._frames("gave") for line in frame.split(b"\n")[1:])
        objects = (json.loads(line)["object"] for line in lines)
        return [each for each in objects if each["kind"] == kind and each["metadata"]["name"].startswith(name)]

    def _frames(self, which: str) -> Iterator[bytes]:
        """Four bytes of length each, and JSON."""
        for path in sorted(self.folder.glob(f"{which}-*")):
            left = path.read_bytes()
            while left:
                end = 4 + int.from_bytes(left[:4], "big")
                yield left[4:end]
                left = left[end:]


def build() -> None:
    """Build signet-render where it is missing, and put it beside the package. Raises BuildError."""
    command = [sys.executable, str(renderer.SOURCES / "build.py")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise binaries.BuildError(f"cannot build {renderer.NAME}\n{done.stderr[-2000:].strip()}")


def play(show: Show, stage: Stage) -> None:
    """Commit an overlay and an Application that renders it."""
    if stage.recorder is None:
        show.paragraph(
            f"      {renderer.NAME} is not built, so the step with an overlay is left out: make build builds it"
        )
        return
    with show.step(
        "an overlay with secrets is committed: the renderer gets placeholders, the API server the values"
    ) as step:
        _deploy(stage, stage.recorder, step)


def _deploy(stage: Stage, recorder: Recorder, step: Step) -> None:
    developer, namespace = stage.developer, stage.names.tenants["staging"]
    password, smtp = (developer.secret(f"{_FOLDER}/{name}") for name in ("database.env#password", "smtp.yaml#password"))
    stored = developer.secret("vault shop/staging/reports#password")
    _ = stage.bao.put("shop/staging/reports", {"password": stored})
    files = _written(developer, password, smtp)
    commit = stage.repositories["shop"].commit(files, "Add reports", author="Dana", email="dana@example.com")
    begin = time.monotonic()
    reports = stage.deploy("reports")
    _ = reports.wait("Ready", "True", revision=commit, seconds=60)
    took = time.monotonic() - begin
    given = _line(recorder.given(f"{_FOLDER}/database.env"))
    expect(
        _PLACEHOLDER.fullmatch(given.removeprefix("password=")), "a placeholder in what the renderer is given", given
    )
    leaked = Canaries(developer.values).search_files(recorder.folder)
    expect(not leaked, "no secret in what the renderer is given and gives", "; ".join(map(str, leaked)))
    [secret] = recorder.gave("Secret", "staging-database-")
    name: str = secret["metadata"]["name"]
    expected = {"password": password, "url": f"postgres://reports:{quote(stored, safe='')}@db/reports"}
    expect(stage.secret("staging", name) == expected, f"the values in Secret {name}", "others")
    expect(stage.secret("staging", "staging-smtp") == {"password": smtp}, "the value in Secret staging-smtp", "another")
    step.saw(f"Git              {_FOLDER}/database.env    {_line(files[f'{_FOLDER}/database.env'].decode())[:34]}…")
    step.saw(f"signet-render    {_FOLDER}/database.env    {given}")
    step.saw(f"signet-render    Secret {name}    data: {secret['data']['password'][:24]}…, which is base64 of it")
    step.saw(
        f"cluster          Secret {name}    the password from Git, and that of Vault in url; ready after {took:.1f} s"
    )
    if stage.runs_pods:
        stage.cluster.wait_available(namespace, "staging-reports")


def _written(developer: Developer, password: str, smtp: str) -> dict[str, bytes]:
    """The overlay in the work tree, its secrets encrypted, and the rules for them."""
    rules = developer.tree / ".sops.yaml"
    texts = {
        ".sops.yaml": rules.read_text("utf-8") + _RULES.format(recipient=developer.recipients["staging"]),
        **_FILES,
        f"{_FOLDER}/database.env": f"password={password}\n",
        f"{_FOLDER}/smtp.yaml": secret_manifest("smtp", password=smtp),
    }
    for path, text in texts.items():
        target = developer.tree / path
        target.parent.mkdir(parents=True, exist_ok=True)
        _ = target.write_text(text, "utf-8")
    for path in (f"{_FOLDER}/database.env", f"{_FOLDER}/smtp.yaml"):
        done = developer.agent("encrypt", "-i", path)
        expect(done.code == 0, f"{done.line} succeeds", done.err)
    return {path: (developer.tree / path).read_bytes() for path in texts}


def _line(text: str) -> str:
    return next((line for line in text.splitlines() if line.startswith("password=")), "")
