"""The site is built from the repository's own pages; every relative link has to lead to a file, and every page of docs/ is in its menu."""

from __future__ import annotations

from pathlib import Path

import pytest

from generate import site

ROOT = Path(__file__).parents[2]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    for name, text in {
        "README.md": "[docs](docs/a.md#part), [code](agent/a.py), [elsewhere](https://example.com/x), [here](#part)\n",
        "docs/a.md": "`[no](link.md)`\n```sh\n[no](link.md)\n```\n[up](../README.md)\n",
        "agent/a.py": "",
        "agent/b.py": "",
        "zensical.toml": 'nav = [{ "A" = "docs/a.md" }]\n',
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def test_pages_stand_beside_what_they_link_to(root: Path) -> None:
    found, wrong = site.sources(root)
    assert sorted(found) == ["README.md", "agent/a.py", "docs/a.md"]
    assert wrong == []


@pytest.mark.parametrize("target", ["none.md", "../none.py", "../agent", "../../outside.md"])
def test_a_link_has_to_lead_to_a_file_of_the_repository(root: Path, target: str) -> None:
    (root.parent / "outside.md").touch()
    (root / "docs/a.md").write_text(f"[a]({target})")
    assert site.sources(root)[1] == [f"docs/a.md: no such file: {target}"]


def test_a_page_of_docs_has_to_be_in_the_menu(root: Path) -> None:
    (root / "docs/b.md").touch()
    assert site.sources(root)[1] == ["docs/b.md: not in the menu of zensical.toml"]


def test_the_folder_holds_exactly_the_pages(root: Path, tmp_path: Path) -> None:
    found, _ = site.sources(root)
    pages = tmp_path / "pages"
    assert site.stage(found, pages)
    assert not site.stage(found, pages)
    (root / "agent/a.py").write_text("1")
    assert site.stage(found, pages)
    del found["agent/a.py"]
    assert site.stage(found, pages)
    assert sorted(path.name for path in pages.rglob("*") if path.is_file()) == ["README.md", "a.md"]


def test_the_repository_has_no_dead_link() -> None:
    assert site.sources(ROOT)[1] == []
