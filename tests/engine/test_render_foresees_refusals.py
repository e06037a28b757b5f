"""What the agent refuses by what Git, the Application and the operator's file say, `agent render` refuses too, in the same words."""

from __future__ import annotations

import asyncio
import json
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from memory_world.sealed_files import data_key_of
from memory_world.sources import Gitlink
from whole_runs import manifests as m
from whole_runs.installation import Installation

from agent.adapters.git.mirrors import Mirrors
from agent.adapters.vault import transit
from agent.adapters.vault.stores import Stores
from agent.api.sources import Source
from agent.cli.main import main
from agent.manifests import references
from agent.sops import stores as file_types
from agent.sops.files import encrypt as sops
from agent.sops.format.groups import WrappedDataKey
from agent.sops.format.keys import AgeKey, ByKind, KmsKey, TransitKey
from agent.sops.format.metadata import Metadata
from agent.sops.format.selection import Selection
from agent.values.errors import AgentError
from agent.values.fingerprint import Fingerprinter
from agent.values.ids import ApplicationId
from agent.values.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from agent.sops.format.keys import WrappedKey

URL = "https://git.example.com/shop"
LIB = "https://git.example.com/platform/lib"
VAULT = "https://vault.example.com:8200"
SIGNED = [{"repositories": ["git.example.com/platform/*"], "sshSigners": "/etc/signers"}]
FIRST = "ab" * 20
APPLICATION = ApplicationId("shop", "web", "app-1")
HOSTS = {"allowedHosts": ["git.example.com"]}


def gitmodules(path: str = "lib", url: str = LIB) -> str:
    return f'[submodule "lib"]\n\tpath = {path}\n\turl = {url}\n'


class User:
    """Who runs `agent render` on a repository with `files`; of a submodule a repository of its own is checked out."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str], files: Mapping[str, str]) -> None:
        self.folder = folder / "tree"
        self.folder.mkdir(parents=True)
        self._capsys = capsys
        self._repository("", {path: text for path, text in files.items() if not isinstance(text, Gitlink)})
        for path in (path for path, text in files.items() if isinstance(text, Gitlink)):
            self._repository(path, {"base/b.yaml": m.config("b")})
            self.git("add", path)

    def git(self, *arguments: str, within: str = "") -> None:
        who = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "advice.addEmbeddedRepo=false"]
        subprocess.run(["git", *who, *arguments], cwd=self.folder / within, check=True, capture_output=True)

    def _repository(self, within: str, files: Mapping[str, str]) -> None:
        for path, text in files.items():
            (self.folder / within / path).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / within / path).write_text(text)
        self.git("init", "--quiet", within=within)
        self.git("add", ".", within=within)
        self.git("commit", "--quiet", "-m", "x", within=within)

    async def render(self, application: Any, operator: Any = None, **checkouts: Mapping[str, str]) -> tuple[int, str]:
        """Exit code and what it says; `checkouts` are further sources."""
        at = self.folder.parent
        (at / "application.yaml").write_text(json.dumps(application))
        arguments = ["render", "-f", str(at / "application.yaml"), str(self.folder)]
        if operator is not None:
            (at / "operator.yaml").write_text(json.dumps(operator))
            arguments += ["--operator-file", str(at / "operator.yaml")]
        for name, files in checkouts.items():
            for path, text in files.items():
                (at / name / path).parent.mkdir(parents=True, exist_ok=True)
                (at / name / path).write_text(text)
            arguments += ["--source", f"{name}={at / name}"]
        self._capsys.readouterr()
        return await asyncio.to_thread(main, arguments), self._capsys.readouterr().err


@dataclass(frozen=True)
class Row:
    """`named` are repositories of submodules, `further` is the commit of a further source `p`."""

    message: str
    files: Mapping[str, str] = field(default_factory=dict)
    named: tuple[str, ...] = ()
    further: Mapping[str, str] | None = None
    spec: Mapping[str, object] = field(default_factory=dict)
    operator: Mapping[str, Any] = field(default_factory=dict)


MODULE = {".gitmodules": gitmodules(), "lib": Gitlink(FIRST), "own/a.yaml": m.config()}
ROWS = {
    "submodule without a rule of signatures": Row(
        "commits of a submodule's repository need signatures", MODULE, (LIB,), operator={"git": {"signatures": SIGNED}}
    ),
    "submodule where a further source stands": Row(
        "files where those of a further source are put",
        {**MODULE, ".gitmodules": gitmodules("p"), "p": Gitlink(FIRST)},
        (LIB,),
        {"c.yaml": m.config("c")},
    ),
    "submodule within where a further source stands": Row(
        "files where those of a further source are put",
        {**MODULE, ".gitmodules": gitmodules("p/x"), "p/x": Gitlink(FIRST)},
        (LIB,),
        {"c.yaml": m.config("c")},
    ),
    "submodule with an address of two readings": Row(
        "in different ways", {**MODULE, ".gitmodules": gitmodules(url=f"{URL}//lib")}, (URL,)
    ),
    "submodule with an address that is none": Row(
        "no address or commit that the agent takes",
        {**MODULE, ".gitmodules": gitmodules(url=f"{URL}/a b")},
        (URL,),
    ),
    "more submodules than are followed": Row(
        "more submodules",
        {
            ".gitmodules": "".join(
                f'[submodule "m{number:02}"]\n\tpath = m{number:02}\n\turl = {LIB}\n' for number in range(17)
            ),
            **{f"m{number:02}": Gitlink(FIRST) for number in range(17)},
        },
        (LIB,),
    ),
    "file where a further source stands": Row(
        "files where those of a further source are put",
        {"own/a.yaml": m.config(), "p/b.yaml": m.config("b")},
        further={"c.yaml": m.config("c")},
    ),
    "file that is rendered where a further source stands": Row(
        "files where those of a further source are put",
        {"own/kustomization.yaml": "resources: [a.yaml]\n", "own/a.yaml": m.config(), "p/b.txt": "b"},
        further={"c.yaml": m.config("c")},
        spec={"render": {"kustomize": {"path": "own"}}},
    ),
    "dependency in a namespace that is not granted": Row(
        "may not depend on Applications of this namespace",
        {"a.yaml": m.config()},
        spec={"dependsOn": [{"name": "base", "namespace": "platform"}]},
        operator={},
    ),
    "dependency on itself": Row(
        "in a circle", {"a.yaml": m.config()}, spec={"dependsOn": [{"name": "web"}]}, operator={}
    ),
}


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
async def test_the_agent_and_the_command_say_the_same(
    row: Row, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    further = [] if row.further is None else [{"name": "p", "url": f"{URL}-p", "revision": {"commit": FIRST}}]
    layers = [*(["."] if "render" not in row.spec else []), *(["p"] if further else [])]
    made = Installation(
        files=row.files, operator=m.operator(**row.operator), layers=layers, sources=further, **row.spec
    )
    if row.named:
        made.spec(source={**made.application["spec"]["source"], "submodules": [{"url": each} for each in row.named]})
    made.git.others = {LIB: {FIRST: {"base/b.yaml": m.config("b")}}, f"{URL}-p": {FIRST: row.further or {}}}
    ran = await made.run()
    [said] = [error for error in ran.errors if row.message in str(error)]
    assert ran.writes == []

    user = User(tmp_path, capsys, row.files)
    operator = {**row.operator, "git": {**HOSTS, **row.operator.get("git", {})}}
    code, text = await user.render(
        made.application, operator, **({"p": row.further} if row.further is not None else {})
    )
    assert code == 1, text
    assert said.message in text
    assert said.hint in text
    for fact in ("file", "submodule", "field"):
        assert str(said.facts.get(fact, "")) in text


async def test_a_host_that_the_operator_does_not_allow(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = m.operator(git={"allowedHosts": ["git.example.org"]})
    named = Fingerprinter.derive(Secret(b"k" * 32, "test"), "mirrors")
    mirrors = Mirrors(tmp_path / "mirrors", settings.git, settings.limits, named)
    application = Installation(files={}).application
    with pytest.raises(AgentError, match="does not allow this Git host") as caught:
        await mirrors.head(Source.model_validate(application["spec"]["source"]), None)
    user = User(tmp_path, capsys, {"a.yaml": m.config()})
    code, text = await user.render(application, {"git": {"allowedHosts": ["git.example.org"]}})
    assert (code, str(caught.value) in text) == (1, True)
    assert (await user.render(application, {"git": HOSTS}))[0] == 0
    assert (await user.render(application))[0] == 0


@pytest.mark.parametrize(
    ("chart", "message"),
    [
        (
            {"repository": "https://charts.example.com/stable", "name": "shop", "version": "1.0.0"},
            "does not allow this repository of charts",
        ),
        ({"oci": "oci://ghcr.io/team/charts/shop", "version": "1.0.0"}, "does not allow this registry"),
    ],
)
async def test_a_server_of_charts(
    chart: dict[str, str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    user = User(tmp_path, capsys, {"a.yaml": m.config()})
    application = Installation(files={}, render={"helm": {"chart": chart}}).application
    code, text = await user.render(application, {"git": HOSTS})
    assert (code, message in text) == (1, True), text
    allowed = {"git": HOSTS, "charts": {"allowedHosts": ["charts.example.com"]}, "oci": {"allowedHosts": ["ghcr.io"]}}
    assert message not in (await user.render(application, allowed))[1]


async def test_a_submodule_s_host_and_a_destination_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    user = User(tmp_path, capsys, {**MODULE, ".gitmodules": gitmodules(url="https://git.example.org/lib")})
    made = Installation(files={})
    source = {**made.application["spec"]["source"], "submodules": [{"url": "https://git.example.org/lib"}]}
    made.spec(source=source)
    code, text = await user.render(made.application, {"git": HOSTS})
    assert (code, "does not allow this Git host" in text) == (1, True)
    made.spec(destination={"namespace": "elsewhere"})
    code, text = await user.render(made.application, {"git": {"allowedHosts": ["git.example.com", "git.example.org"]}})
    assert (code, "may not deploy into this namespace" in text) == (1, True)


async def test_a_submodule_that_is_checked_out_at_another_commit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    user = User(tmp_path, capsys, MODULE)
    made = Installation(files={})
    made.spec(source={**made.application["spec"]["source"], "submodules": [{"url": LIB}]})
    assert (await user.render(made.application))[0] == 0
    user.git("commit", "--quiet", "--allow-empty", "-m", "newer", within="lib")
    code, text = await user.render(made.application)
    assert code == 2
    assert "another commit than its repository pins" in text
    user.git("add", "lib")
    assert (await user.render(made.application))[0] == 0


def store(**more: object) -> dict[str, object]:
    given = {"address": VAULT, "auth": {"tokenFile": "/dev/null"}, "allowedPaths": ["kv/shop/*"]}
    return {**given, "allowedNamespaces": ["shop"], "transitKeys": ["transit/keys/shop"], **more}


REFUSED = {
    "of a store that is not configured": ("vault://other/kv/shop/db#password", store()),
    "of a path that is not allowed": ("vault://main/kv/pay/db#password", store()),
    "of a store for other namespaces": ("vault://main/kv/shop/db#password", store(allowedNamespaces=["pay"])),
}


@pytest.mark.parametrize("overlay", [False, True])
@pytest.mark.parametrize(("named", "settings"), REFUSED.values(), ids=REFUSED)
async def test_a_reference_that_the_operator_s_file_does_not_allow(
    named: str, settings: Any, overlay: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    operator: Any = {"git": HOSTS, "stores": {"main": settings}}
    asked = Stores(m.operator(**operator).stores, monotonic=lambda: 0.0, jitter=lambda: 0.0)
    [answer] = (await asked.resolve(APPLICATION, [references.parse(named)])).values()
    await asked.close()
    assert isinstance(answer, AgentError)

    files = {"own/db.yaml": m.plain_secret(value=named)}
    spec: dict[str, Any] = {}
    if overlay:
        files["own/kustomization.yaml"] = "resources: [db.yaml]\n"
        spec = {"render": {"kustomize": {"path": "own"}}}
    application = Installation(files={}, **spec).application
    user = User(tmp_path, capsys, files)
    code, text = await user.render(application, operator)
    assert (code, answer.message in text, answer.hint in text) == (1, True, True), text
    assert "own" in text
    assert named in text
    assert (await user.render(application))[0] == 0
    open_to_all = store(allowedPaths=["**"])
    assert (await user.render(application, {**operator, "stores": {"main": open_to_all, "other": open_to_all}}))[0] == 0


async def test_a_path_as_the_api_of_a_store_has_it_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path, hint in (("kv/data/shop/db", "without data/"), ("kv/data/pay/db", "allowedPaths")):
        user = User(tmp_path / hint[:4], capsys, {"db.yaml": m.plain_secret(value=f"vault://main/{path}#password")})
        operator = {"git": HOSTS, "stores": {"main": store()}}
        assert hint in (await user.render(Installation(files={}).application, operator))[1]


async def test_a_reference_in_a_variable(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    variables = {"substitute": {"variables": {"PASSWORD": "vault://other/kv/shop/db#password"}}}
    user = User(tmp_path, capsys, {"a.yaml": m.plain_secret(value="user:${PASSWORD}")})
    application = Installation(files={}, **variables).application
    code, text = await user.render(application, {"git": HOSTS, "stores": {"main": store()}})
    assert (code, "no store of this name" in text) == (1, True), text
    assert (await user.render(application, {"git": HOSTS, "stores": {"other": store()}}))[0] == 0


def sealed(*keys: WrappedKey) -> str:
    store, path = file_types.of("db.yaml"), "db.yaml"
    documents = sops.encrypt(
        store.parse_plain(m.plain_secret().encode(), file=path),
        Metadata(WrappedDataKey.one_group(*keys), Selection("encrypted_regex", "^(data|stringData)$")),
        data_key_of("test"),
        file=path,
        random_bytes=bytes,
        lastmodified="2026-01-01T00:00:00Z",
    )
    return store.emit(documents).decode()


KMS = KmsKey("arn:aws:kms:eu-west-1:111122223333:key/shop", "", (), "", "2026-01-01T00:00:00Z", "QUJD")
OWN = TransitKey(VAULT, "transit", "shop", "2026-01-01T00:00:00Z", "vault:v1:QUJD")
OTHER = TransitKey(VAULT, "transit", "pay", "2026-01-01T00:00:00Z", "vault:v1:QUJD")
ELSEWHERE = TransitKey("https://other.example.com", "transit", "shop", "2026-01-01T00:00:00Z", "vault:v1:QUJD")


async def why_not(key: WrappedKey) -> str:
    """What an agent says of a file for this key alone."""
    if not isinstance(key, TransitKey):
        with pytest.raises(AgentError) as caught:
            ByKind({}).unwrap(key)
        return caught.value.message
    stores = Stores(m.operator(stores={"main": store()}).stores, monotonic=lambda: 0.0, jitter=lambda: 0.0)
    answer = (await transit.unwrap(stores, APPLICATION, [key]))[key]
    await stores.close()
    assert isinstance(answer, AgentError)
    return answer.message


@pytest.mark.parametrize("key", [KMS, OTHER, ELSEWHERE], ids=["cloud", "closed", "unserved"])
async def test_a_file_that_no_key_of_an_agent_opens(
    key: WrappedKey, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    operator: Any = {"git": HOSTS, "stores": {"main": store()}}
    application = Installation(files={}).application
    user = User(tmp_path, capsys, {"db.yaml": sealed(key), "a.yaml": m.config()})
    code, text = await user.render(application, operator)
    assert (code, "no key opens the data key" in text, await why_not(key) in text) == (1, True, True), text
    assert "db.yaml" in text
    assert (await user.render(application))[0] == (1 if key is KMS else 0)
    for further in (OWN, AgeKey("age1team", "QUJD")):
        both = User(tmp_path / further.enc[:3], capsys, {"db.yaml": sealed(key, further)})
        assert (await both.render(application, operator))[0] == 0
