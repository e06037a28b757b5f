"""The steps with a cluster: commit, apply, heal, rotate, refuse, prune."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from testbed import agent as agents
from testbed.demo import chart, laptop, overlay, webhook
from testbed.demo.shop import ENVIRONMENTS, secret_manifest
from testbed.demo.show import expect
from testbed.processes import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from testbed.demo.show import Show, Step
    from testbed.demo.stage import Stage

_REPLICAS = {"dev": 1, "staging": 2, "prod": 3}
_LEVELS = {"dev": "debug", "staging": "info", "prod": "info"}
_REQUESTED_AT = "signet-gitops.dev/requested-at"


def play(show: Show, stage: Stage) -> None:
    """All of them, in order."""
    player = _Player(stage)
    with show.step("deploy/ is installed; the agent runs as its ServiceAccount, with only that role") as step:
        player.install(step)
    with show.step("dev, staging and prod are deployed: layers merged, age, PGP and Vault secrets in place") as step:
        player.deploy(step)
    with show.step("a developer runs agent encrypt and commits: applied at the next poll") as step:
        player.add_secret(step)
    overlay.play(show, stage)
    chart.play(show, stage)
    with show.step("live objects are edited and one is deleted: each is healed") as step:
        player.heal(step)
    with show.step("prod's database password is rotated in Vault: applied, pods replaced") as step:
        player.rotate(step)
    with show.step("a changed file and a file from another team's repository are committed: both refused") as step:
        player.refuse(step)
    with show.step("the rest of that commit is applied; the Secret of the refused file stays as it was") as step:
        player.expect_the_rest(step)
    with show.step("the two files are reverted: the Application is ready again") as step:
        player.restore(step)
    webhook.play(show, stage)
    with show.step("a file is deleted: its object is pruned in every environment, and nothing else") as step:
        player.prune(step)


class _Player:
    def __init__(self, stage: Stage) -> None:
        self._stage: Stage = stage
        self._developer = stage.developer
        self._before: str = ""

    def install(self, step: Step) -> None:
        stage = self._stage
        stage.install()
        _ = stage.start_agent()
        dev = stage.names.tenants["dev"]
        asked = {
            "write Secrets of its own namespace": (True, "create", "secrets", stage.names.system),
            "write Secrets of a tenant": (False, "create", "secrets", dev),
            "write Deployments of a tenant": (False, "patch", "deployments.apps", dev),
            "act as signet-applier": (True, "impersonate", "serviceaccounts/signet-applier", dev),
            "act as another ServiceAccount": (False, "impersonate", "serviceaccounts/default", dev),
        }
        for what, (wanted, verb, resource, namespace) in asked.items():
            expect(
                self._may(verb, resource, namespace) == wanted, f"that it may{'' if wanted else ' not'} {what}", what
            )
        refused = [what for what, (wanted, *_) in asked.items() if not wanted]
        step.saw(f"may not: {'; '.join(refused)}")

    def deploy(self, step: Step) -> None:
        stage = self._stage
        commit = stage.repositories["shop"].head()
        _ = stage.repositories["billing"].commit(
            {"invoices.yaml": (self._developer.folder / "invoices.yaml").read_bytes()}, "Add invoices"
        )
        begin = time.monotonic()
        for name in (*ENVIRONMENTS, "billing"):
            _ = stage.deploy(name)
        for name in ENVIRONMENTS:
            self._wait_ready(name, commit)
            took = time.monotonic() - begin
            self._expect_environment(name)
            counts: dict[str, int] = stage.application(name).status()["counts"]  # pyright: ignore[reportAssignmentType]
            layers = f"base + envs/{name}"
            key = "PGP" if name == "prod" else "age"
            step.saw(f"{name:<8} {layers:<19} {counts['total']} objects, SOPS by {key}, ready after {took:.1f} s")
        self._wait_ready("billing", "")
        if stage.runs_pods:
            for name in ENVIRONMENTS:
                stage.cluster.wait_available(stage.names.tenants[name], "web")
            step.saw(f"{sum(_REPLICAS.values())} pods are running")

    def add_secret(self, step: Step) -> None:
        developer, path = self._developer, "envs/staging/payment.yaml"
        value = developer.secret(f"{path}#api-key")
        _ = (developer.tree / path).write_text(secret_manifest("payment", **{"api-key": value}), "utf-8")
        done = developer.agent("encrypt", "-i", path)
        expect(done.code == 0, f"{done.line} succeeds", done.err)
        commit = self._commit("Add the payment key", path)
        begin = time.monotonic()
        self._wait_ready("staging", commit)
        step.saw(f"{done.line} && git commit && git push    applied {time.monotonic() - begin:.1f} s later")
        self._expect_secret("staging", "payment", "api-key", value)

    def heal(self, step: Step) -> None:
        settings, web = self._path("dev", "configmaps", "settings"), self._path("prod", "deployments", "web")
        credentials, service = self._path("staging", "secrets", "credentials"), self._path("prod", "services", "web")
        expected = self._developer.values["envs/staging/credentials.yaml#token"]
        uid = self._get(service)["metadata"]["uid"]
        step.saw(
            self._healed(
                "dev: ConfigMap settings, LOG_LEVEL set to trace",
                lambda: self._merge(settings, {"data": {"LOG_LEVEL": "trace"}}),
                lambda: self._get(settings)["data"]["LOG_LEVEL"] == "debug",
            )
        )
        step.saw(
            self._healed(
                "prod: Deployment web scaled to 0",
                lambda: self._merge(web, {"spec": {"replicas": 0}}),
                lambda: self._get(web)["spec"]["replicas"] == _REPLICAS["prod"],
            )
        )
        step.saw(
            self._healed(
                "staging: Secret credentials, token overwritten",
                lambda: self._merge(credentials, {"stringData": {"token": "mine"}}),
                lambda: self._secret("staging", "credentials", "token") == expected,
            )
        )
        step.saw(
            self._healed(
                "prod: Service web deleted",
                lambda: self._stage.cluster.delete(service),
                lambda: self._get(service).get("metadata", {}).get("uid", uid) != uid,
            )
        )

    def rotate(self, step: Step) -> None:
        stage = self._stage
        web = self._path("prod", "deployments", "web")
        before, template = self._pods("prod"), self._get(web)["spec"]["template"]
        expected = self._developer.secret("vault shop/prod#password, rotated")
        version = stage.bao.put("shop/prod/database", {"password": expected})
        begin = time.monotonic()
        _ = wait_until(
            lambda: self._secret("prod", "database", "password") == expected, 60, "the new password is in the Secret"
        )
        _ = wait_until(lambda: self._get(web)["spec"]["template"] != template, 60, "the Deployment rolls out")
        step.saw(f"vault://main/secret/shop/prod/database, version {version}: in the Secret after {_since(begin)}")
        if stage.runs_pods:
            stage.cluster.wait_available(stage.names.tenants["prod"], "web")
            _ = wait_until(lambda: not before & self._pods("prod"), 60, "the old pods are gone")
            expect(len(self._pods("prod")) == _REPLICAS["prod"], "as many pods as before", len(self._pods("prod")))
            step.saw(f"{len(before)} pods replaced after {_since(begin)}")

    def refuse(self, step: Step) -> None:
        tree = self._developer.tree
        self._before = (tree / "envs/staging/credentials.yaml").read_text("utf-8")
        _ = (tree / "envs/staging/credentials.yaml").write_text(laptop.altered(self._before), "utf-8")
        _ = (tree / "envs/staging/invoices.yaml").write_bytes((self._developer.folder / "invoices.yaml").read_bytes())
        settings = (tree / "base/settings.yaml").read_text("utf-8").replace("Welcome to the shop", "Welcome back")
        _ = (tree / "base/settings.yaml").write_text(settings, "utf-8")
        files = ("envs/staging/credentials.yaml", "envs/staging/invoices.yaml")
        commit = self._commit("Edit a secret by hand, and borrow another", *files, "base/settings.yaml")
        self._request(*ENVIRONMENTS)
        application = self._stage.application("staging")
        status: dict[str, Any] = application.wait("Ready", "False", revision=commit, seconds=60)
        listed: list[dict[str, str]] = status["failures"]
        failures = {failure["file"]: failure for failure in listed}
        expect(failures.keys() == set(files), f"a failure for each of {', '.join(files)}", sorted(failures))
        reasons = {file: failure["reason"] for file, failure in failures.items()}
        expect(reasons[files[0]] == "MacMismatch", "MacMismatch for the altered file", reasons[files[0]])
        expect(reasons[files[1]] == "DataKey", "DataKey for the borrowed file", reasons[files[1]])
        shown = self._stage.ask("status", "shop", "-n", self._stage.names.tenants["staging"])
        expect(shown.code == 1, f"exit code 1 of {shown.line}", f"{shown.code}: {shown.err}")
        step.saw(shown.line)
        for file, failure in failures.items():
            for text in (file, failure["message"], failure["hint"]):
                expect(text in shown.out, f"{text!r} in the output of agent status", shown.out)
            step.saw(f"{file}: {failure['message']}")
            step.saw(f"  hint: {failure['hint']}")

    def expect_the_rest(self, step: Step) -> None:
        commit = self._stage.repositories["shop"].head()
        for name in ("dev", "prod"):
            self._wait_ready(name, commit)
        for name in ENVIRONMENTS:
            path = self._path(name, "configmaps", "settings")
            _ = wait_until(
                lambda path=path: self._get(path)["data"]["MESSAGE"] == "Welcome back", 60, f"{path} follows the commit"
            )
        for key in ("token", "smtp-password"):
            expected = self._developer.values[f"envs/staging/credentials.yaml#{key}"]
            self._expect_secret("staging", "credentials", key, expected)
        expect(not self._exists("staging", "secrets", "invoices"), "no Secret of the other team in staging", "one")
        invoices = self._developer.values["billing/invoices.yaml#password"]
        self._expect_secret("billing", "invoices", "password", invoices)
        step.saw(
            "ConfigMap settings is new in dev, staging and prod; dev and prod are ready; the other team has its own"
        )

    def restore(self, step: Step) -> None:
        tree = self._developer.tree
        _ = (tree / "envs/staging/credentials.yaml").write_text(self._before, "utf-8")
        (tree / "envs/staging/invoices.yaml").unlink()
        commit = self._commit("Take them back", "envs/staging/credentials.yaml", "envs/staging/invoices.yaml")
        done = self._stage.ask("sync", "shop", "-n", self._stage.names.tenants["staging"], "--timeout", "45s")
        expect(done.code == 0, f"{done.line} succeeds", done.out + done.err)
        step.saw(done.line)
        self._wait_ready("staging", commit)
        self._expect_environment("staging")
        step.saw(self._stage.application("staging").condition("Ready").get("message", ""))

    def prune(self, step: Step) -> None:
        kept = ("settings", "kube-root-ca.crt")
        (self._developer.tree / "base/banner.yaml").unlink()
        commit = self._commit("Remove the banner", "base/banner.yaml")
        self._request(*ENVIRONMENTS)
        for name in ENVIRONMENTS:
            self._wait_ready(name, commit)
            expect(not self._exists(name, "configmaps", "banner"), f"no ConfigMap banner in {name}", "one")
            for other in kept:
                expect(self._exists(name, "configmaps", other), f"ConfigMap {other} still in {name}", "none")
            self._expect_environment(name)
        step.saw(
            "$ git rm base/banner.yaml && git commit && git push    ConfigMap banner deleted in dev, staging and prod"
        )

    def _commit(self, message: str, *paths: str) -> str:
        tree = self._developer.tree
        files = {path: (tree / path).read_bytes() if (tree / path).exists() else None for path in paths}
        return self._stage.repositories["shop"].commit(files, message, author="Dana", email="dana@example.com")

    def _request(self, *names: str) -> None:
        """Ask for a reconciliation now, as `agent sync` does: the next poll would come within ten seconds."""
        for name in names:
            path = self._stage.application(name).path
            self._merge(path, {"metadata": {"annotations": {_REQUESTED_AT: f"{time.time():.6f}"}}})

    def _wait_ready(self, name: str, commit: str) -> None:
        _ = self._stage.application(name).wait("Ready", "True", revision=commit, seconds=60)

    def _healed(self, what: str, edit: Callable[[], object], good: Callable[[], bool]) -> str:
        _ = edit()
        begin = time.monotonic()
        _ = wait_until(good, 60, f"{what}: healed", interval=0.005)
        return f"{what}: healed in {(time.monotonic() - begin) * 1000:.0f} ms"

    def _expect_environment(self, name: str) -> None:
        """Every layer and every secret, as it should be in the cluster."""
        developer = self._developer
        settings = self._get(self._path(name, "configmaps", "settings"))["data"]
        expect(settings["DATABASE_USER"] == "shop", "the database user of base", settings["DATABASE_USER"])
        expect(settings["LOG_LEVEL"] == _LEVELS[name], f"LOG_LEVEL {_LEVELS[name]} in {name}", settings["LOG_LEVEL"])
        replicas = self._get(self._path(name, "deployments", "web"))["spec"]["replicas"]
        expect(replicas == _REPLICAS[name], f"{_REPLICAS[name]} replicas in {name}", replicas)
        for key in ("token", "smtp-password"):
            self._expect_secret(name, "credentials", key, developer.values[f"envs/{name}/credentials.yaml#{key}"])
        rotated = developer.values.get(f"vault shop/{name}#password, rotated")
        self._expect_secret(name, "database", "password", rotated or developer.values[f"vault shop/{name}#password"])

    def _expect_secret(self, name: str, secret: str, key: str, value: str) -> None:
        seen = self._secret(name, secret, key)
        expect(seen == value, f"the right {key} in Secret {secret} of {name}", "another value" if seen else "none")

    def _secret(self, name: str, secret: str, key: str) -> str:
        return self._stage.secret(name, secret).get(key, "")

    def _pods(self, name: str) -> set[str]:
        path = f"/api/v1/namespaces/{self._stage.names.tenants[name]}/pods?labelSelector=app%3Dweb"
        return {pod["metadata"]["uid"] for pod in self._stage.cluster.get(path)["items"]}

    def _path(self, name: str, plural: str, obj: str) -> str:
        root = "/apis/apps/v1" if plural == "deployments" else "/api/v1"
        return f"{root}/namespaces/{self._stage.names.tenants[name]}/{plural}/{obj}"

    def _get(self, path: str) -> dict[str, Any]:
        """An object; an empty one where there is none."""
        status, found = self._stage.cluster.request("GET", path)
        return found if status == 200 else {}

    def _exists(self, name: str, plural: str, obj: str) -> bool:
        return bool(self._get(self._path(name, plural, obj)))

    def _merge(self, path: str, patch: Mapping[str, object]) -> None:
        _ = self._stage.cluster.merge(path, patch)

    def _may(self, verb: str, resource: str, namespace: str) -> bool:
        """Whether the agent's ServiceAccount may, by the API server's own word."""
        plural, _, name = resource.partition("/")
        plural, _, group = plural.partition(".")
        attributes = {"verb": verb, "resource": plural, "group": group, "name": name, "namespace": namespace}
        user = f"system:serviceaccount:{self._stage.names.system}:{agents.SERVICE_ACCOUNT}"
        review = {"spec": {"user": user, "resourceAttributes": attributes}}
        path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
        return bool(self._stage.cluster.create(path, review)["status"]["allowed"])


def _since(begin: float) -> str:
    return f"{time.monotonic() - begin:.1f} s"
