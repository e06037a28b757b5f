"""What `make corpus` reads of Argo CD Applications and of archives that Flux makes of a repository."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml

from testbed.corpus import units

if TYPE_CHECKING:
    from pathlib import Path


def written(folder: Path, **files: object) -> Path:
    """`__` in a name stands for a slash."""
    for name, tree in files.items():
        path = folder / f"{name.replace('__', '/')}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(tree))
    return folder


def argo(**kustomize: object) -> dict[str, Any]:
    source = {"repoURL": "https://git.example.com/x", "path": "app", "kustomize": kustomize}
    return {"apiVersion": "argoproj.io/v1alpha1", "kind": "Application", "spec": {"source": source}}


@pytest.mark.parametrize(
    ("text", "image"),
    [
        ("nginx:1.2", {"name": "nginx", "newTag": "1.2"}),
        ("nginx=registry.example.com:5000/web", {"name": "nginx", "newName": "registry.example.com:5000/web"}),
        ("a/b=c/d:2@sha256:00", {"name": "a/b", "newName": "c/d", "newTag": "2", "digest": "sha256:00"}),
        ("registry.example.com:5000/web:1", {"name": "registry.example.com:5000/web", "newTag": "1"}),
        ("nginx@sha256:00", {"name": "nginx", "digest": "sha256:00"}),
    ],
)
def test_what_an_application_adds_to_its_kustomization(tmp_path: Path, text: str, image: dict[str, str]) -> None:
    given = argo(images=[text], patches=[{"patch": "x"}], components=["../more"], namePrefix="p-")
    written(tmp_path, apps=given, app__kustomization={"resources": []})
    [unit] = units.find(tmp_path)[0]
    assert unit.refused == ""
    assert unit.kustomize == {
        "path": "app",
        "namePrefix": "p-",
        "patches": [{"patch": "x"}],
        "images": [image],
        "components": ["more"],
    }


def test_what_is_not_translated_is_named(tmp_path: Path) -> None:
    written(tmp_path, apps=argo(commonLabels={"a": "b"}), app__kustomization={"resources": []})
    [unit] = units.find(tmp_path)[0]
    assert unit.refused == "kustomize.commonLabels of an Application is not translated"


@pytest.mark.parametrize(
    ("copies", "path", "folder"),
    [
        ([("@repo/apps/**", "@artifact/")], "./production", "apps/production"),
        ([("@repo/apps/base/**", "@artifact/base/"), ("@repo/apps/one/**", "@artifact/one/")], "./one", "apps/one"),
        ([("@repo/apps/**", "@artifact/x/")], "./x/one", "apps/one"),
        ([("@repo/apps/**", "@artifact/x/")], "./y", "y"),
    ],
)
def test_an_archive_that_flux_makes_is_read_from_where_it_was_made(
    tmp_path: Path, copies: list[tuple[str, str]], path: str, folder: str
) -> None:
    artifact = {"name": "apps", "copy": [{"from": taken, "to": to} for taken, to in copies]}
    made = {
        "apiVersion": "source.extensions.fluxcd.io/v1beta1",
        "kind": "ArtifactGenerator",
        "spec": {"artifacts": [artifact]},
    }
    spec = {"path": path, "sourceRef": {"kind": "ExternalArtifact", "name": "apps"}}
    kustomization = {"apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization", "spec": spec}
    written(tmp_path, clusters__a__apps=kustomization, clusters__a__artifacts=made)
    written(tmp_path / folder, a={})
    [unit] = units.find(tmp_path)[0]
    assert (unit.path, unit.refused) == (folder, "")
