"""Objects that a renderer gave, in a run: what their leaves are made of is opened, asked of stores and put together at the end.

The renderer here is one line of the test: in every text of a manifest, `@name@` becomes the placeholder of that value.
"""

from __future__ import annotations

import base64
import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from memory_world.sealed_files import encrypt
from whole_runs import manifests as m
from whole_runs.installation import Installation

from agent.engine import commits
from agent.manifests import presented as references
from agent.manifests import rendered
from agent.manifests.rendered import Output
from agent.sops.files import presented
from agent.values.secret import Secret
from agent.values.tree import map_leaves

if TYPE_CHECKING:
    from agent.desired.compiler import DesiredState
    from agent.manifests.documents import Document, Parsed
    from agent.values.tree import Leaf, Path

REFERENCE = "vault://main/kv/db#password"
VALUES = "apiVersion: v1\nkind: Values\nmetadata:\n  name: values\ndata:\n  pw: hunter2\n  pem: |-\n    one\n    two\n  at: vault://main/kv/db#user\n"
ALLOWED = {"secrets": {"allow": ["ConfigMap"]}, "operator": m.operator(sinks={"configMaps": True})}


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.fixture(autouse=True)
def _rendering(monkeypatch: pytest.MonkeyPatch) -> None:
    """Documents are rendered before they are compiled, as they will be."""
    compute = commits.compiler.compute

    def render(revision: object, parsed: Parsed, **more: object) -> DesiredState:
        data = encrypt(VALUES, "values.yaml").encode()
        by_leaves, whole = presented.by_leaves(data, file="values.yaml"), presented.whole(data, "b", file="values.yaml")
        assert by_leaves is not None
        assert whole is not None
        sources = {**by_leaves.sources, **whole.sources}
        named = {str(getattr(source, "label", source)).rpartition(".")[2]: token for token, source in sources.items()}
        named |= {"file": next(iter(whole.sources)), "ref": references.text(REFERENCE, sources)}
        named["none"] = references.text("vault://main/kv/none?optional=true#x", sources)

        def leaf(_: Path, value: Leaf) -> Leaf:
            if not isinstance(value, str):
                return value
            shown = re.sub("@([a-z]+)@", lambda found: named[found[1]], value)
            return encoded(shown.removeprefix("b64:")) if shown.startswith("b64:") else shown

        def read(document: Document) -> Document:
            [found] = rendered.read([Output(document.file, map_leaves(document.tree, leaf))], sources, ()).objects
            assert isinstance(found.tree, dict)
            return replace(document, tree=found.tree, error=found.error or document.error)

        kept = [document for document in parsed.documents if document.file != "values.yaml"]
        outputs = [Output(document.file, map_leaves(document.tree, leaf)) for document in kept]
        desired = compute(revision, replace(parsed, documents=tuple(map(read, kept))), **more)  # pyright: ignore[reportArgumentType]
        files = {**desired.sealed, "values.yaml": by_leaves.sealed}
        made = rendered.read(outputs, sources, ()).expressions
        return replace(
            desired, sealed=files, expressions=made, whole={leaf.id: whole for leaf in whole.sources.values()}
        )  # pyright: ignore[reportAttributeAccessIssue]

    monkeypatch.setattr(commits.compiler, "compute", render)


def world(*texts: str, **given: object) -> Installation:
    files = {f"{number}.yaml": text for number, text in enumerate(texts)}
    made = Installation(files={**files, "values.yaml": encrypt(VALUES, "values.yaml")}, **{**ALLOWED, **given})
    made.stores.write("kv/db", password="first", user="shop")
    return made


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("@pw@", "hunter2"),
        ("postgres://u:@pw@@db", "postgres://u:hunter2@db"),
        ("@pw@\n", "hunter2\n"),
        ("key: |\n  @pem@\n", "key: |\n  one\n  two\n"),
        ("b64:u:@pw@", encoded("u:hunter2")),
        ("@ref@", "first"),
        ("a @ref@ b", "a first b"),
        ("@pw@ @ref@", "hunter2 first"),
        ("b64:@ref@", encoded("first")),
        ("at @at@", "at shop"),
        ("a@none@b @pw@", "ab hunter2"),
        ("@at@ @pw@ @ref@", "shop hunter2 first"),
    ],
)
async def test_text_around_values_reaches_the_cluster(text: str, value: str) -> None:
    made = world(m.config(data=text))
    ran = await made.run()
    assert ran.problems == []
    assert made.value("ConfigMap/a", "data", "value") == Secret(value, "expected")
    again = await made.run()
    assert (again.opened, again.quiet) == ([], True)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("b64:@pw@", "hunter2"),
        ("b64:u:@pw@\n", "u:hunter2\n"),
        ("b64:@ref@", "first"),
        ("b64:@at@", "shop"),
        ("b64:@at@ @pw@ @ref@", "shop hunter2 first"),
        ("b64:@file@", VALUES.replace("  ", "    ")),
    ],
)
async def test_what_a_generator_encoded_is_data_of_its_secret(text: str, value: str) -> None:
    made = world(m.secret("s", text).replace("stringData", "data"))
    ran = await made.run()
    assert ran.problems == []
    assert made.value("Secret/s", "data", "password") == Secret(encoded(value), "expected")
    again = await made.run()
    assert (again.opened, again.quiet) == ([], True)


async def test_another_version_of_a_secret_in_a_text_is_applied() -> None:
    made = world(m.config(data="@pw@ @ref@"))
    await made.run()
    made.stores.write("kv/db", password="second", user="shop")
    ran = await made.probe()
    assert ran is not None
    assert ran.writes == ["apply ConfigMap/a"]
    assert made.value("ConfigMap/a", "data", "value") == Secret("hunter2 second", "expected")


async def test_what_a_store_answers_is_searched_for_no_reference() -> None:
    made = world(m.config(data="@pw@ @ref@"), m.secret("s", "b64:@ref@ @pw@").replace("stringData", "data"))
    made.stores.write("kv/db", password="${vault://main/kv/other#k}", user="shop")
    made.stores.write("kv/other", k="canary")
    await made.run()
    text = "${vault://main/kv/other#k}"
    assert made.value("ConfigMap/a", "data", "value") == Secret(f"hunter2 {text}", "expected")
    assert made.value("Secret/s", "data", "password") == Secret(encoded(f"{text} hunter2"), "expected")


async def test_a_value_that_does_not_open_holds_what_is_made_of_it_and_nothing_else() -> None:
    made = world(
        m.config(data="x @pw@"), m.secret("s", "b64:@file@").replace("stringData", "data"), m.config("b", "x @ref@")
    )
    made.keys.held.clear()
    ran = await made.run()
    assert ran.writes == ["apply ConfigMap/b"]


async def test_what_is_made_of_a_value_stands_where_a_secret_may() -> None:
    made = world(m.config(data="x @pw@"), secrets={"allow": []})
    ran = await made.run()
    assert ran.error_of("ConfigMap/a").reason == "Sink"


async def test_a_store_that_has_no_value_holds_what_is_made_of_it() -> None:
    made = world(m.config(data="@pw@ @ref@"))
    made.stores.write("kv/db", user="shop")
    ran = await made.run()
    assert ran.error_of("ConfigMap/a").reason == "StoreNotFound"


async def test_two_placeholders_side_by_side_hold_their_object() -> None:
    made = world(m.config(data="@pw@@pem@"), m.config("b", "@pw@ @pem@"))
    ran = await made.run()
    assert ran.writes == ["apply ConfigMap/b"]
    assert ran.error_of("ConfigMap/a").reason == "Placeholder"
