"""`python -m bench.charts`: a chart of six objects over sealed values by a running signet-render, over plain ones, and by `helm template`, in turns.

And a hundred releases of it after a restart, by the agent's pool: new processes, files sent, objects read.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Final

from agent.adapters.render.pool import Renderers
from agent.engine.renderers import Chart, SourceTree
from agent.values.ids import ApplicationId
from bench.report import Expectation, align
from render import build
from testbed import binaries
from testbed.equivalence import openings
from testbed.equivalence.openings import CLUSTER, Sealing

if TYPE_CHECKING:
    from agent.engine.renderers import Rendered

ROUNDS: Final = 40
_RELEASES: Final = 100
_OBJECTS: Final = 6
_PASSWORD: Final = "s3cretPassw0rd"
_SEALING: Final = Sealing.of("a")
_DEFINITIONS: Final = """\
{{- define "web.name" -}}{{ default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}{{- end -}}
{{- define "web.fullname" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 63 }}
{{- else }}{{ printf "%s-%s" .Release.Name (include "web.name" .) | trunc 63 | trimSuffix "-" }}{{ end -}}
{{- end -}}
{{- define "web.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
app.kubernetes.io/name: {{ include "web.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}
"""
_HEAD: Final = """\
metadata:
  name: {{ include "web.fullname" . }}
  labels: {{- include "web.labels" . | nindent 4 }}
"""
_TEMPLATES: Final = {
    "account": "apiVersion: v1\nkind: ServiceAccount\n" + _HEAD,
    "secret": "apiVersion: v1\nkind: Secret\n"
    + _HEAD
    + "data:\n  password: {{ .Values.auth.password | b64enc | quote }}\n"
    'stringData:\n  url: {{ printf "redis://:%s@%s:%v" .Values.auth.password .Values.redis.host .Values.redis.port | quote }}\n',
    "service": "apiVersion: v1\nkind: Service\n"
    + _HEAD
    + "spec:\n  type: {{ .Values.service.type }}\n  ports:\n{{- range $name, $port := .Values.service.ports }}\n"
    "  - {name: {{ $name }}, port: {{ $port }}}\n{{- end }}\n",
    "scaler": "{{- if .Values.scaler.enabled }}\napiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\n"
    + _HEAD
    + 'spec:\n  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: {{ include "web.fullname" . }}}\n'
    "  minReplicas: {{ .Values.scaler.least }}\n  maxReplicas: {{ .Values.scaler.most }}\n{{- end }}\n",
    "ingress": "apiVersion: networking.k8s.io/v1\nkind: Ingress\n"
    + _HEAD
    + "spec:\n  rules:\n{{- range .Values.hosts }}\n  - host: {{ . | quote }}\n    http:\n      paths:\n"
    '      - {path: /, pathType: Prefix, backend: {service: {name: {{ include "web.fullname" $ }}, port: {name: http}}}}\n{{- end }}\n',
    "workload": "apiVersion: apps/v1\nkind: Deployment\n"
    + _HEAD
    + """\
spec:
  replicas: {{ .Values.replicas }}
  selector: {matchLabels: {app.kubernetes.io/name: {{ include "web.name" . }}}}
  template:
    metadata:
      labels: {{- include "web.labels" . | nindent 8 }}
      annotations:
        checksum/secret: {{ include (print $.Template.BasePath "/secret.yaml") . | sha256sum }}
    spec:
      containers:
      - name: {{ .Chart.Name }}
        image: "{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}"
        env:
        {{- range $name, $value := .Values.env }}
        - {name: {{ $name }}, value: {{ $value | quote }}}
        {{- end }}
        {{- with .Values.resources }}
        resources: {{- toYaml . | nindent 10 }}
        {{- end }}
""",
}
_VALUES: Final = {
    "replicas": 2,
    "image": {"repository": "registry.example.com/web", "tag": ""},
    "service": {"type": "ClusterIP", "ports": {"http": 80, "metrics": 9797, "grpc": 9999}},
    "redis": {"host": "cache", "port": 6379},
    "scaler": {"enabled": True, "least": 2, "most": 6},
    "hosts": [f"shop-{number}.example.com" for number in range(5)],
    "env": {f"SETTING_{number}": f"value of {number}" for number in range(40)},
    "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": "64Mi"}},
    "auth": {"password": ""},
}


def files() -> dict[str, bytes]:
    """A chart of the usual shape, by path."""
    made = {
        "chart/Chart.yaml": "apiVersion: v2\nname: web\nversion: 6.14.1\nappVersion: 6.14.1\n",
        "chart/values.yaml": json.dumps(_VALUES),
        "chart/templates/_helpers.tpl": _DEFINITIONS,
        **{f"chart/templates/{name}.yaml": text for name, text in _TEMPLATES.items()},
    }
    return {name: text.encode() for name, text in made.items()}


def chart(password: str, name: str = "shop") -> Chart:
    """A release with this password, or what stands for it."""
    sources = SourceTree.of({**files(), "values.yaml": openings.written({"auth": {"password": password}})})
    return Chart("chart", sources, name, "shop", CLUSTER, now=0, values_files=("values.yaml",))


async def measured(folder: Path) -> list[tuple[float, float, float]]:
    """Seconds over sealed values, over plain ones, and by the CLI."""
    renderers = Renderers(build.built())
    sealed, plain = chart(_SEALING.placeholders["a"]), chart(_PASSWORD)
    command = [binaries.path("helm"), "template", "shop", folder / "chart", "--set", f"auth.password={_PASSWORD}"]
    rounds: list[tuple[float, float, float]] = []
    for number in range(ROUNDS + 2):
        taken: dict[str, float] = {}
        # in either order: what comes behind the CLI finds nothing in the processor's caches
        for name, asked in (("sealed", sealed), ("plain", plain))[:: 1 if number % 2 else -1]:
            began = time.perf_counter()
            _ = _checked(await renderers.helm(ApplicationId("shop", "web", "1"), asked))
            taken[name] = time.perf_counter() - began
        began = time.perf_counter()
        _ = subprocess.run(command, check=True, capture_output=True, env={"HOME": str(folder)})  # noqa: ASYNC221
        rounds.append((taken["sealed"], taken["plain"], time.perf_counter() - began))
    await renderers.close()
    return rounds[2:]


async def restarted() -> float:
    """Seconds for all releases, of ten namespaces, by a new pool, with their values put in."""
    asked = [chart(_SEALING.placeholders["a"], f"shop{number}") for number in range(_RELEASES)]
    renderers = Renderers(build.built())
    begin = time.perf_counter()
    given = await asyncio.gather(
        *(
            renderers.helm(ApplicationId(f"team{number % 10}", f"shop{number}", str(number)), each)
            for number, each in enumerate(asked)
        )
    )
    for each in given:
        _ = openings.opened(_checked(each), _SEALING, {"a": _PASSWORD}).trees()
    seconds = time.perf_counter() - begin
    await renderers.close()
    return seconds


def _checked(given: Rendered) -> Rendered:
    assert given.error is None, given.error
    assert len(given.objects) == _OBJECTS
    return given


def main() -> int:
    with tempfile.TemporaryDirectory() as made:
        for name, content in files().items():
            path = Path(made) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            _ = path.write_bytes(content)
        rounds = asyncio.run(measured(Path(made)))
    seconds = asyncio.run(restarted())
    sealed, plain, cli = (median(each) * 1000 for each in zip(*rounds, strict=True))
    ratio = median(one / other for one, _, other in rounds)
    guards = median(each[0] for each in rounds) / median(each[1] for each in rounds)
    rows = [
        Expectation("warm / CLI", "≤ 0.15", f"{ratio:.2f} ({sealed:.1f} and {cli:.1f} ms)", ratio <= 0.15),
        Expectation("sealed / plain", "≤ 1.15", f"{guards:.2f} ({sealed:.1f} and {plain:.1f} ms)", guards <= 1.15),
        Expectation("100 releases after a restart", "≤ 2 s", f"{seconds:.2f} s", seconds <= 2),
    ]
    print(align([(each.name, each.wanted, each.found, "met" if each.met else "NOT MET") for each in rows]))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
