"""Argo CD has a kind of the same name: what we print and write asks kubectl for ours by a name that is ours alone."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
_BARE = re.compile(
    r"""kubectl\}?["']?(?:\\\n|[^\n`#|;"')])*?[\s,=](?P<bare>(?<!kind=)applications?)(?![\w.-])""", re.IGNORECASE
)
_WRITTEN = ("*.md", "*.py", "*.yaml", "*.yml", "*.json", "*.sh", "Makefile")


def tracked() -> list[Path]:
    names = subprocess.run(["git", "ls-files", *_WRITTEN], cwd=ROOT, capture_output=True, text=True, check=True)
    return [ROOT / name for name in names.stdout.splitlines()]


def test_no_text_asks_kubectl_for_a_bare_application() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {match[0]}"
        for path in tracked()
        if path != Path(__file__) and path.is_file()
        for match in _BARE.finditer(path.read_text("utf-8", "replace"))
    ]
    assert found == []


@pytest.mark.parametrize(
    "text",
    [
        "kubectl get applications",
        "kubectl get application shop -n shop",
        "kubectl wait --for=condition=Ready application/shop",
        "kubectl patch -n shop \\\n  application shop",
        "kubectl get pods,applications -A",
        "kubectl describe Application shop",
        'f"{kubectl} get applications -A"',
    ],
)
def test_the_search_finds_a_bare_name(text: str) -> None:
    assert _BARE.search(text)


@pytest.mark.parametrize(
    "text",
    [
        "kubectl get applications.signet-gitops.dev",
        "kubectl get sgapp",
        "kubectl apply -f application.yaml",
        "kubectl apply -f crds/applications.yaml",
        "kubectl get events  # of the Application",
        "kubectl get events --field-selector involvedObject.kind=Application",
        "`kubectl` reads it, and the Application",
    ],
)
def test_the_search_passes_what_is_ours(text: str) -> None:
    assert not _BARE.search(text)
