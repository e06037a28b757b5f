"""The steps that need no cluster: keys, encryption and decryption on a developer's laptop."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from testbed import binaries
from testbed.canary import Canaries
from testbed.demo.shop import ENVIRONMENTS, secret_manifest
from testbed.demo.show import expect

if TYPE_CHECKING:
    from testbed.demo.shop import Developer
    from testbed.demo.show import Show, Step

_MAC_MISMATCH = 51
_NO_KEY = 128


def play(show: Show, developer: Developer) -> None:
    """All of them, in order. Leaves keys, an encrypted work tree, and `stolen.yaml` of another team in the developer's folder."""
    with show.step("keys are made: age for dev and staging, PGP for prod") as step:
        _make_keys(developer, step)
    with show.step("secrets are encrypted for the recipients in .sops.yaml only") as step:
        _encrypt(developer, step)
    with show.step("age and PGP keys decrypt them; another key does not") as step:
        _decrypt(developer, step)
    if sops := _sops():
        with show.step("sops reads the agent's files, and the agent reads sops' files") as step:
            _exchange(developer, sops, step)
    with show.step("a file that was changed after encryption is refused") as step:
        _refuse_altered(developer, step)
    with show.step("agent render shows the merged layers, with labels in place of secrets") as step:
        _render(developer, step)


def altered(text: str) -> str:
    """An encrypted file of which one encrypted line was taken out: every value that is left still opens; the MAC does not fit."""
    lines = text.splitlines(keepends=True)
    victim = next(line for line in lines if line.lstrip().startswith("smtp-password:"))
    return "".join(line for line in lines if line is not victim)


def _make_keys(developer: Developer, step: Step) -> None:
    for name in ("dev", "staging", "billing"):
        _ = developer.make_age_key(name)
    _ = developer.make_pgp_key("prod")
    step.saw(f"$ agent keygen -o staging.agekey    {developer.recipients['staging']}")
    step.saw(f"$ gpg --quick-generate-key prod     {developer.recipients['prod']}")


def _encrypt(developer: Developer, step: Step) -> None:
    developer.check_out()
    for name in ENVIRONMENTS:
        path = f"envs/{name}/credentials.yaml"
        done = developer.agent("encrypt", "-i", path)
        expect(done.code == 0, f"{done.line} succeeds", done.err)
        text = (developer.tree / path).read_text("utf-8")
        recipients = [developer.recipients[each] for each in ENVIRONMENTS if developer.recipients[each] in text]
        expect(recipients == [developer.recipients[name]], f"{path} encrypted for {name} alone", recipients)
        document = yaml.safe_load(text)
        leaves = document["stringData"].values()
        expect(all(leaf.startswith("ENC[AES256_GCM,") for leaf in leaves), "every value encrypted", list(leaves))
        expect(document["metadata"]["name"] == "credentials", "a name that stays readable", document["metadata"])
        step.saw(done.line)
    findings = Canaries(developer.values).search_files(developer.tree)
    expect(not findings, "no secret left in the work tree", "; ".join(map(str, findings)))
    _make_stolen(developer)


def _make_stolen(developer: Developer) -> None:
    """Another team's secret, encrypted for their key in their repository."""
    plain = secret_manifest("invoices", password=developer.secret("billing/invoices.yaml#password"))
    arguments = ("encrypt", "--age", developer.recipients["billing"], "--encrypted-regex", "^(data|stringData)$")
    none = developer.folder / "no-rules.yaml"
    _ = none.write_text("{}\n")
    done = developer.agent(*arguments, "--config", str(none), "--filename-override", "invoices.yaml", input=plain)
    expect(done.code == 0, "the other team encrypts a file", done.err)
    _ = (developer.folder / "invoices.yaml").write_text(done.out, "utf-8")


def _decrypt(developer: Developer, step: Step) -> None:
    for name in ENVIRONMENTS:
        path = f"envs/{name}/credentials.yaml"
        done = developer.agent("decrypt", path, keys=_keys(developer, name))
        expect(done.code == 0, f"{done.line} succeeds", done.err)
        _expect_values(developer, path, done.out)
    path = "envs/staging/credentials.yaml"
    refused = developer.agent("decrypt", path, keys=_keys(developer, "dev"))
    expect(refused.code == _NO_KEY and not refused.out, f"exit code {_NO_KEY} with dev's key", refused.code)
    step.saw(f"{refused.line}    with the key of dev:")
    step.saw(refused.err.splitlines()[0])


def _exchange(developer: Developer, sops: Path, step: Step) -> None:
    for name in ENVIRONMENTS:
        path = f"envs/{name}/credentials.yaml"
        done = developer.program(sops, "decrypt", path, keys=_keys(developer, name))
        expect(done.code == 0, f"{done.line} succeeds", done.err)
        _expect_values(developer, path, done.out)
    value = developer.secret("written by sops#password")
    plain = developer.folder / "plain.yaml"
    _ = plain.write_text(secret_manifest("exchange", password=value), "utf-8")
    recipients = ("--age", developer.recipients["dev"], "--pgp", developer.recipients["prod"])
    theirs = developer.program(sops, "--config", "/dev/null", "encrypt", *recipients, str(plain))
    plain.unlink()
    expect(theirs.code == 0, "sops encrypts", theirs.err)
    file = developer.folder / "theirs.yaml"
    _ = file.write_text(theirs.out, "utf-8")
    ours = developer.agent("decrypt", "--extract", '["stringData"]["password"]', str(file))
    expect(ours.out == value, "the agent decrypts what sops encrypted", ours.err or "another value")
    step.saw(developer.program(sops, "--version", "--disable-version-check").out.splitlines()[0])


def _refuse_altered(developer: Developer, step: Step) -> None:
    path = developer.folder / "altered.yaml"
    _ = path.write_text(altered((developer.tree / "envs/staging/credentials.yaml").read_text("utf-8")), "utf-8")
    refused = developer.agent("decrypt", str(path), keys=_keys(developer, "staging"))
    expect(refused.code == _MAC_MISMATCH, f"exit code {_MAC_MISMATCH}", refused.code)
    expect(not refused.out, "no plaintext of an altered file", "some")
    step.saw("$ agent decrypt altered.yaml    after one line was deleted:")
    for line in refused.err.replace(f"{developer.folder}/", "").splitlines():
        step.saw(line)


def _render(developer: Developer, step: Step) -> None:
    arguments = ("render", "--layers", "base,envs/dev", "--namespace", "shop-dev")
    done = developer.agent(*arguments)
    expect(done.code == 0, f"{done.line} succeeds", done.err)
    objects = {(each["kind"], each["metadata"]["name"]): each for each in yaml.safe_load_all(done.out)}
    settings = objects["ConfigMap", "settings"]["data"]
    wanted = {"DATABASE_USER": "shop", "LOG_LEVEL": "debug", "MESSAGE": "Welcome to the shop"}
    expect(settings == wanted, "both layers' settings", settings)
    token = objects["Secret", "credentials"]["stringData"]["token"]
    expect("sops:envs/dev/credentials.yaml" in token, "a label for a secret", token)
    findings = Canaries(developer.values).search_text(done.out + done.err, "the output of agent render")
    expect(not findings, "no secret in the output", "; ".join(map(str, findings)))
    step.saw(f"{done.line}    {len(objects)} objects")
    step.saw(f"Secret credentials    token: {token}")
    password = objects["Secret", "database"]["stringData"]["password"]
    step.saw(f"Secret database       password: {password}")


def _expect_values(developer: Developer, path: str, text: str) -> None:
    for key, value in yaml.safe_load(text)["stringData"].items():
        expect(value == developer.values[f"{path}#{key}"], f"{path}#{key} as it was", "another value")


def _keys(developer: Developer, name: str) -> list[Path]:
    return [path for path in [developer.keys / f"{name}.agekey"] if path.exists()]


def _sops() -> Path | None:
    """The real sops, if it is installed or built already: nothing is built for it."""
    if not binaries.missing(["sops"]):
        return binaries.path("sops")
    found = shutil.which("sops")
    return Path(found) if found else None
