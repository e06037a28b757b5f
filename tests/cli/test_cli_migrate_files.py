"""Which files `agent migrate sealed-secrets` reads and writes, and which it leaves as they are."""

from __future__ import annotations

import json

import pytest
from sealed_repositories import CONFIG_MAP, Repository, manifest, pair, plain, repository

from testbed import sealing

__all__ = ["pair", "repository"]


def test_a_second_run_changes_nothing(repository: Repository) -> None:
    repository.shell.write("apps/db.yaml", repository.seal(plain()))
    repository.shell.write("apps/other.yaml", CONFIG_MAP)
    assert repository.migrate("-i", ".").code == 0
    before = repository.files()

    again = repository.migrate("-i", ".")

    assert (again.code, again.out) == (0, b"")
    assert "no SealedSecret found" in again.err
    assert repository.files() == before
    assert before["apps/other.yaml"] == CONFIG_MAP


def test_other_documents_of_a_file_stay_byte_for_byte(repository: Repository) -> None:
    sealed = "# the shop's database\n" + repository.seal(plain()).removeprefix("---\n")
    two = repository.seal(plain("cache")).removeprefix("---\n")
    repository.shell.write("all.yaml", f"{CONFIG_MAP}---\n{sealed}--- # then\n{CONFIG_MAP}---\n{two}")

    result = repository.migrate("-i", "all.yaml")

    assert result.code == 0, result.err
    assert "all.yaml: its other documents are left as they are" in result.err
    files = repository.files()
    assert files["all.yaml"] == f"{CONFIG_MAP}--- # then\n{CONFIG_MAP}"
    assert files["all.secrets.yaml"].startswith("# the shop's database\n")
    assert [each["metadata"]["name"] for each in repository.secrets("all.secrets.yaml")] == ["db", "cache"]


def test_files_beside_are_not_overwritten_without_a_word(repository: Repository) -> None:
    sealed = repository.seal(plain())
    repository.shell.write("all.yaml", f"{CONFIG_MAP}{sealed}")
    repository.shell.write("all.secrets.yaml", "mine: 1\n")
    result = repository.migrate("-i", "all.yaml")
    assert result.code == 1
    assert "the file exists already" in result.err
    assert repository.files() == {"all.yaml": f"{CONFIG_MAP}{sealed}", "all.secrets.yaml": "mine: 1\n"}
    assert repository.migrate("-i", "--overwrite", "all.yaml").code == 0
    assert [each["kind"] for each in repository.secrets("all.secrets.yaml")] == ["Secret"]


def test_another_folder_takes_the_results_once(repository: Repository) -> None:
    sealed = repository.seal(plain())
    repository.shell.write("in/a/db.yaml", sealed)
    assert repository.migrate("--output-dir", "out", "in").code == 0
    files = repository.files()
    assert files["in/a/db.yaml"] == sealed
    assert [each["kind"] for each in repository.secrets("out/a/db.yaml")] == ["Secret"]

    kept = repository.migrate("--output-dir", "out", "in")

    assert kept.code == 0
    assert b"kept: the file exists" in kept.out
    assert repository.files() == files
    assert repository.migrate("--output-dir", "out", "--overwrite", "in").code == 0
    assert repository.files() != files


def test_one_file_goes_to_standard_output(repository: Repository) -> None:
    sealed = repository.seal(plain())
    repository.shell.write("db.yaml", sealed)
    result = repository.migrate("db.yaml")
    assert result.code == 0
    assert "Secret shop/db: opened by" in result.err
    assert repository.files() == {"db.yaml": sealed}
    repository.shell.write("out.yaml", result.out)
    assert [each["kind"] for each in repository.secrets("out.yaml")] == ["Secret"]
    several = repository.migrate(".")
    assert several.code == 2
    assert "several files cannot go to standard output" in several.err


def test_a_dry_run_writes_nothing(repository: Repository) -> None:
    repository.shell.write("db.yaml", repository.seal(plain()))
    repository.shell.write("bad.yaml", repository.seal(plain("bad")).replace("name: bad", "name: worse", 1))
    before = repository.files()
    for where in (("-i",), ("--output-dir", "out")):
        result = repository.migrate("--dry-run", *where, ".")
        assert result.code == 1
        assert b"would be migrated" in result.out
        assert repository.files() == before


def test_failures_are_listed_at_the_end_and_stop_nothing_else(repository: Repository) -> None:
    good = repository.seal(plain("good"))
    other = sealing.pair(repository.pair.folder, "other")
    template = repository.seal(plain("template")).replace(
        "  template:\n", "  template:\n    data: {url: 'x{{ .password }}'}\n"
    )
    broken = {
        "altered.yaml": repository.seal(plain("altered")).replace("name: altered", "name: renamed", 1),
        "otherkey.yaml": other.seal(plain("otherkey"), program=repository.kubeseal),
        "template.yaml": template,
        "old.yaml": "apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata: {name: old, namespace: shop}\nspec: {data: AgAA}\n",
        "both.yaml": f"{repository.seal(plain('one'))}{repository.seal(plain('two')).replace('name: two', 'name: zwei', 1)}",
        "list.yaml": json.dumps(
            {"kind": "List", "items": [{"kind": "ConfigMap"}, manifest(repository.seal(plain("item")))]}
        ),
        "unnamed.yaml": good.replace("name: good", "name: ''"),
        "nowhere.yaml": good.replace("  namespace: shop\n", "", 1),
        "notyaml.yaml": "kind: SealedSecret\n a: [\n",
    }
    for name, text in {**broken, "good.yaml": good}.items():
        repository.shell.write(name, text)

    result = repository.migrate("-i", ".")

    assert result.code == 1
    assert repository.files() == {**repository.files(), **broken}
    assert [each["kind"] for each in repository.secrets("good.yaml")] == ["Secret"]
    for file, message in {
        "altered.yaml": "no sealing key opens a value",
        "otherkey.yaml": "no sealing key opens a value",
        "template.yaml": "a Go template over the values is not rendered",
        "old.yaml": "spec.data has the old format, which sealed-secrets no longer writes",
        "both.yaml": "SealedSecret.bitnami.com shop/zwei",
        "list.yaml": "a List holds SealedSecrets among other objects",
        "unnamed.yaml": "a SealedSecret has no well-formed name",
        "nowhere.yaml": "the SealedSecret has no namespace, and its values are bound to one",
        "notyaml.yaml": "notyaml.yaml:2",
    }.items():
        assert any(file in line and message in line for line in result.err.splitlines()), (file, result.err)
    rows = result.out.decode().splitlines()
    assert any("good.yaml" in row and "migrated" in row for row in rows)
    assert any("Secret shop/one" in row and "not migrated" in row for row in rows)
    assert any("renamed" in row and "failed" in row for row in rows)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--sealing-key", "missing.yaml", "-i", "."), 100),
        (("--sealing-key", ".sops.yaml", "-i", "."), 2),
        (("-i", "missing.yaml"), 1),
        (("-i", "*.yml"), 1),
        (("-i", "--output-dir", "out", "."), 8),
    ],
)
def test_what_cannot_be_begun(repository: Repository, arguments: tuple[str, ...], code: int) -> None:
    repository.shell.write("db.yaml", repository.seal(plain()))
    before = repository.files()
    assert repository.migrate(*arguments).code == code
    assert repository.files() == before


def test_globs_and_files_that_are_named_twice(repository: Repository) -> None:
    for name in ("a/db.yaml", "b/db.yaml"):
        repository.shell.write(name, repository.seal(plain()))
    result = repository.migrate("-i", "*/db.yaml", "a", "a/db.yaml")
    assert result.code == 0
    assert len(result.out.splitlines()) == 3
    clash = repository.migrate("--output-dir", "out", "a/db.yaml", "b/db.yaml")
    assert clash.code == 0, "nothing is left to do"
    for name in ("a/db.yaml", "b/db.yaml"):
        repository.shell.write(name, repository.seal(plain()))
    clash = repository.migrate("--output-dir", "out", "--overwrite", "a/db.yaml", "b/db.yaml")
    assert clash.code == 1
    assert "out/db.yaml: the file exists already" in clash.err


def test_a_place_that_cannot_be_written_is_reported(repository: Repository) -> None:
    repository.shell.write("db.yaml", repository.seal(plain()))
    repository.shell.write("out", "a file")
    result = repository.migrate("--output-dir", "out", "db.yaml")
    assert result.code == 1
    assert "the folder cannot be made" in result.err
    assert b"not migrated" in result.out


def test_links_in_a_folder_are_left_alone(repository: Repository) -> None:
    sealed = repository.seal(plain())
    elsewhere = repository.shell.write("../elsewhere.yaml", sealed)
    (repository.shell.folder / "link.yaml").symlink_to(elsewhere)
    repository.shell.write(".hidden/db.yaml", sealed)
    repository.shell.write("notes.txt", sealed)
    assert "no SealedSecret found" in repository.migrate("-i", ".").err
    assert elsewhere.read_text() == sealed


def test_flags_are_checked(repository: Repository) -> None:
    assert repository.shell.agent("migrate", "sealed-secrets", "-i", ".").code == 1
    assert repository.shell.agent("migrate", "vault", "-i", ".").code == 1
