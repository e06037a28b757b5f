"""The operator's file: what the agent may reach, and whom it serves. One YAML file, mounted from a Secret.

Everything that Git or a tenant could abuse is granted here and nowhere else: addresses, tokens, roles, keys, namespaces. What is
not listed is refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field, model_validator

from agent.api import names
from agent.api.audit import AuditSettings
from agent.api.destinations import DestinationGrant
from agent.api.disclosures import DisclosureGrant
from agent.api.fields import (
    FilePath,
    Host,
    ManagerPattern,
    NamePattern,
    ObjectName,
    RepositoryUrl,
    StoreAddress,
)
from agent.api.model import Model, Problem, invalid, validate
from agent.api.proxies import Proxy
from agent.api.registries import RegistrySettings, Servers, SourceUrl
from agent.api.signatures import SignatureRule
from agent.api.webhooks import HookName, Webhook
from agent.api.windows import OperatorWindow, SyncWindow
from agent.values.errors import ConfigError
from agent.values.patterns import name_matches, path_matches, segments_match

if TYPE_CHECKING:
    from agent.values.tree import Tree

Seconds = Annotated[int, Field(ge=1, le=3600)]
MIB = 1024 * 1024


class GitSettings(Model):
    """Which Git servers the agent talks to."""

    allowed_hosts: tuple[Host, ...] = ()
    """Hosts that `spec.source.url` may name, as `git.example.com` or `git.example.com:8443`. Without a port, the default ports
    are meant: 443 for HTTPS, 22 for SSH. For GitHub Apps, the host of the API too, as `api.github.com`. Empty: none."""
    allow_http: bool = False
    """Whether plain HTTP is taken. Everybody on the way then reads the password and changes the manifests."""
    remote_bases: Annotated[tuple[RepositoryUrl, ...], Field(max_length=256)] = ()
    """Addresses of repositories that overlays may name as remote bases, or what such addresses begin with up to a slash:
    `https://git.example.com/platform` grants all repositories below it. Their hosts have to be in `allowedHosts` too. Empty: none."""
    ca_file: FilePath | None = None
    """PEM file of authorities to trust instead of the system's. An Application's `ca.crt` goes before it."""
    timeout_seconds: Seconds = 60
    """Total time that one command of Git may take."""
    proxy: Proxy | None = None
    """What servers over HTTPS and HTTP are reached by. Without it, and over SSH, the agent connects to them itself."""
    signatures: tuple[SignatureRule, ...] = ()
    """Whose signatures commits need. The first rule for a repository decides."""


class KubernetesLogin(Model):
    """Login to Vault by the agent's ServiceAccount token, which is read again at each login."""

    role: Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9_.-]+$")]
    """Role of the auth method."""
    mount: Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*$")] = (
        "kubernetes"
    )
    """Where the auth method is mounted, without `auth/`."""
    audience: Annotated[str, Field(min_length=1, max_length=256)] = "vault"
    """Audience of the token. The projected volume of `deploy/` asks for the same one."""
    token_file: FilePath = "/var/run/secrets/signet/vault/token"
    """The projected token."""


class StoreAuth(Model):
    """How the agent proves itself to a store. Exactly one."""

    token_file: FilePath | None = None
    """File that holds a token; read again when the store refuses it."""
    kubernetes: KubernetesLogin | None = None
    """Login by the agent's ServiceAccount token."""

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if (self.token_file is None) == (self.kubernetes is None):
            raise invalid("give exactly one of tokenFile and kubernetes")
        return self


StorePath = Annotated[str, Field(min_length=1, max_length=512, pattern=r"^[^/%\\\s]([^%\\\x00-\x1f\x7f]*[^%\\\s])?$")]


TransitKeyPath = Annotated[
    str, Field(min_length=1, max_length=512, pattern=r"^([A-Za-z0-9_.*-]+/)+keys/[A-Za-z0-9_.*-]+$")
]


class Store(Model):
    """A Vault or OpenBao server that references and SOPS files may name."""

    address: StoreAddress
    """`https://vault.example.com:8200`. A SOPS file's `vault_address` opens with this store only if it is the same text."""
    namespace: Annotated[str, Field(min_length=1, max_length=256)] | None = None
    """Namespace of Vault Enterprise or OpenBao (`X-Vault-Namespace`)."""
    ca_file: FilePath | None = None
    """PEM file of authorities to trust instead of the system's."""
    auth: StoreAuth
    """How the agent proves itself."""
    proxy: Proxy | None = None
    """What the server is reached by, which needs an `address` with `https`. Without it the agent connects to the server itself."""
    allowed_paths: tuple[StorePath, ...]
    """Paths, the mount first, that references may read: `secret/shop/**`, `secret/*/db`. `*` stays within a segment, a final
    `**` is everything below. Nothing is written there, and no key of SOPS is asked for."""
    transit_keys: tuple[TransitKeyPath, ...] = ()
    """Keys of transit engines that SOPS files may name, as `<engine>/keys/<key>`: `transit/keys/shop`, `team/transit/keys/*`. `*` stays
    within a segment. To open with a key is a POST to `<engine>/decrypt/<key>`, which another engine would take for a write."""
    allowed_namespaces: tuple[NamePattern, ...]
    """Namespaces whose Applications may use this store; `*` stands for any run of characters."""

    @model_validator(mode="after")
    def _proxy_over_tls(self) -> Self:
        if self.proxy is not None and not self.address.startswith("https://"):
            raise invalid("a proxy is for stores over HTTPS: it would see the token")
        return self

    def serves(self, namespace: str) -> bool:
        """Whether Applications of `namespace` may use this store."""
        return any(name_matches(pattern, namespace) for pattern in self.allowed_namespaces)

    def allows(self, path: str) -> bool:
        """Whether references may read `path` (`<mount>/<path>`)."""
        return any(path_matches(pattern, path) for pattern in self.allowed_paths)

    def opens(self, engine: str, key: str) -> bool:
        """Whether SOPS files may be opened with a transit key."""
        path = f"{engine}/keys/{key}"
        return "/" not in key and any(segments_match(pattern, path) for pattern in self.transit_keys)


class KeyGrant(Model):
    """Decryption keys that several namespaces share."""

    path: FilePath
    """File, or folder of files, with age identities or armored PGP private keys."""
    namespaces: Annotated[tuple[NamePattern, ...], Field(min_length=1)]
    """Namespaces whose Applications these keys serve."""
    repositories: Annotated[tuple[SourceUrl, ...], Field(min_length=1)]
    """Repositories whose files these keys open, as `spec.source.url` or `spec.source.oci.url` writes them. Both must fit: else a tenant reads another's
    secret by committing its ciphertext. They open what branches and tags of these repositories hold, and nothing else that an Application
    reads or has read before."""

    def serves(self, namespace: str, repository: str) -> bool:
        """Whether these keys open files of `repository` for an Application of `namespace`."""
        wanted = _plain_url(repository)
        return any(name_matches(pattern, namespace) for pattern in self.namespaces) and any(
            _plain_url(url) == wanted for url in self.repositories
        )


class SealingKey(Model):
    """A private key of a sealed-secrets controller."""

    secret_name: ObjectName
    """Secret of type `kubernetes.io/tls` in the agent's own namespace, as the controller keeps it: `tls.key`, and `tls.crt`."""


class SealedSecrets(Model):
    """SealedSecrets that the agent unseals itself: a `v1/Secret` is applied in their place."""

    keys: tuple[SealingKey, ...] = ()
    """All keys that anything in Git may be sealed for. None: SealedSecrets are objects like any other, for their controller."""
    namespaces: tuple[NamePattern, ...] = ("*",)
    """Namespaces into which is unsealed. A value is bound to its namespace, and opens for Applications that go there alone."""
    cluster_wide: bool = False
    """Whether values are unsealed that were sealed with scope cluster-wide. Any Application then reads every one of them."""


class CustomField(Model):
    """A field of a custom resource that takes secrets."""

    group: ObjectName
    """API group."""
    kind: Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[A-Z][A-Za-z0-9]*$")]
    """Kind."""
    path: Annotated[str, Field(min_length=1, max_length=512, pattern=r"^(spec|data|stringData)([.\[].*)?$")]
    """The field: `spec.password`, `spec.users[*].password`."""


class Sinks(Model):
    """Where secrets may stand besides the data of a Secret. The first three need `spec.secrets.allow` of the Application too."""

    config_maps: bool = False
    """Data of a ConfigMap."""
    env: bool = False
    """Values of containers' environment variables."""
    args: bool = False
    """Containers' commands and arguments."""
    custom_resources: tuple[CustomField, ...] = ()
    """Fields of custom resources."""


class SecretsInGit(Model):
    """Secrets that Git holds in the clear."""

    plaintext: Literal["warn", "deny"] = "warn"
    """What becomes of a `v1/Secret` with values that anybody reads in Git, of all Applications: `warn` applies it, `deny` holds it."""


class SopsSettings(Model):
    """SOPS files."""

    clear_values: Literal["warn", "hold"] = "warn"
    """What becomes of the objects of a SOPS file that has clear values besides `apiVersion`, `kind`, `metadata` and `type`. SOPS' MAC
    covers such values, but not under which key each stands: anyone who may commit can swap them unnoticed. `warn` applies the file and
    names it, `hold` holds it. Nulls and empty texts, maps and lists count, which SOPS never encrypts."""


class DependencyGrant(Model):
    """Lets Applications wait for Applications of other namespaces."""

    application_namespace: NamePattern
    """Namespaces of the Applications that wait; `*` stands for any run of characters."""
    namespaces: Annotated[tuple[NamePattern, ...], Field(min_length=1)]
    """Namespaces of those that `spec.dependsOn` may name. Who waits learns whether they are ready, and why not in one word."""


class FieldManagers(Model):
    """Who is who among the field managers of live objects, as `metadata.managedFields` names them."""

    people: Annotated[tuple[ManagerPattern, ...], Field(max_length=64)] = names.PEOPLE
    """Managers that are people: what they write on an object of an Application is an edit by hand. `*` stands for any run of characters.
    Controllers, autoscalers, webhooks and injectors do not belong here, and what goes through a subresource never counts. A list that
    is given stands in place of the default."""


class RenderLimits(Model):
    """What building one overlay may take, and how many renderers there are: processes of signet-render, which stay for ten minutes."""

    seconds: Annotated[int, Field(ge=1, le=600)] = 30
    """Total time. A renderer that takes longer is killed."""
    memory_bytes: Annotated[int, Field(ge=128 * MIB, le=4096 * MIB)] = 512 * MIB
    """Memory of one renderer, which ends when it needs more. The container's memory limit has to hold that of all renderers."""
    output_bytes: Annotated[int, Field(ge=MIB, le=256 * MIB)] = 64 * MIB
    """All objects together, as JSON. The agent needs several times that to read them, and reads no more than `limits.values` of them."""
    objects: Annotated[int, Field(ge=1, le=500_000)] = 50_000
    """Objects that are rendered."""
    processes: Annotated[int, Field(ge=1, le=16)] = 2
    """Renderers at a time. A namespace has one, so that of two one is left to the others."""


class Limits(Model):
    """What the agent takes at most. Each breach is an error that names the file."""

    file_bytes: Annotated[int, Field(ge=1024, le=64 * MIB)] = 5 * MIB
    """One file."""
    repository_bytes: Annotated[int, Field(ge=MIB)] = 512 * MIB
    """One repository's mirror."""
    artifact_bytes: Annotated[int, Field(ge=64 * 1024, le=1024 * MIB)] = 64 * MIB
    """One artifact of a registry, as it is downloaded and as it is unpacked."""
    git_bytes: Annotated[int, Field(ge=64 * MIB)] = 96 * MIB
    """Address space of each process of Git. Three of one command and four commands at a time may have so much in memory: the
    container's memory limit has to hold them. It is enough for some 500,000 objects of Git in one fetch, however large they are."""
    manifest_bytes: Annotated[int, Field(ge=1024)] = 64 * MIB
    """All files of one Application's layers together, of each of its sources. They are held in memory, where they take several times their size."""
    objects: Annotated[int, Field(ge=1, le=500_000)] = 50_000
    """Objects of one Application."""
    values: Annotated[int, Field(ge=1000, le=100_000_000)] = 2_000_000
    """Keys and values of all objects of one Application together: a Deployment has some 150. The agent needs about 200 bytes for each."""
    memory_bytes: Annotated[int, Field(ge=32 * MIB)] | None = None
    """Memory for the manifests of all Applications together, those that run and what is kept of the others: 150 bytes for each key and value, and 4
    for each byte of a file. One Application may have five sixths of it. Otherwise it is what the children of the agent and 112 MiB
    leave of the container's memory limit: 400 MiB as shipped."""
    yaml_depth: Annotated[int, Field(ge=8, le=150)] = 150
    """Nesting of one document."""
    identities: Annotated[int, Field(ge=1, le=1024)] = 64
    """Private keys that open files of one Application: age identities, and secret keys and subkeys of PGP."""
    key_bytes: Annotated[int, Field(ge=1024, le=16 * MIB)] = 256 * 1024
    """All texts with private keys of one Application together."""
    pgp_bytes: Annotated[int, Field(ge=64 * 1024)] = 4 * MIB
    """What the PGP keys of all Applications of one namespace take of the memory-backed storage that all namespaces share: 128 KiB
    for each Application that has some, and what gpg keeps of them."""
    wrapped_keys: Annotated[int, Field(ge=1, le=10_000)] = 256
    """Recipients of one SOPS file, in all of its key groups."""
    stanzas: Annotated[int, Field(ge=1, le=1024)] = 64
    """Recipients of one wrapped key of age. Each is tried with each identity."""
    key_seconds: Seconds = 10
    """Total time that private keys are tried on one file. A key that is being tried then is the last one."""
    request_seconds: Seconds = 30
    """Total time of one request to the API server or a store, watches aside."""
    render: RenderLimits = RenderLimits()
    """Building overlays."""


class OperatorSettings(Model):
    """The operator's file."""

    git: GitSettings = GitSettings()
    """Which Git servers the agent talks to."""
    oci: RegistrySettings = RegistrySettings()
    """Which registries the agent talks to."""
    charts: Servers = Servers()
    """Which repositories of charts the agent talks to, of those over HTTPS. Charts of registries are under `oci`."""
    stores: dict[
        Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$")], Store
    ] = Field(default_factory=dict[str, Store])
    """Vault and OpenBao servers, by the name that references use: `vault://<name>/…`."""
    keys: tuple[KeyGrant, ...] = ()
    """Decryption keys that several namespaces share. Keys of one namespace are named by its Applications instead."""
    sealed_secrets: SealedSecrets = SealedSecrets()
    """SealedSecrets that the agent unseals itself."""
    secrets: SecretsInGit = SecretsInGit()
    """Secrets that Git holds in the clear."""
    sops: SopsSettings = SopsSettings()
    """SOPS files."""
    sinks: Sinks = Sinks()
    """Where secrets may stand besides the data of a Secret."""
    destinations: tuple[DestinationGrant, ...] = ()
    """Lets Applications reach further than their own namespace."""
    dependencies: tuple[DependencyGrant, ...] = ()
    """Lets Applications wait for Applications of other namespaces. Within a namespace it needs no grant."""
    disclosures: tuple[DisclosureGrant, ...] = ()
    """Variables with sealed values that Applications may make clear text, by `spec.substitute.disclose`."""
    sync_windows: Annotated[tuple[OperatorWindow, ...], Field(max_length=64)] = ()
    """Times at which new commits and changed specs are applied, or are not. Drift is healed and secrets are rotated at any time."""
    webhooks: Annotated[dict[HookName, Webhook], Field(max_length=256)] = Field(default_factory=dict[str, Webhook])
    """Who notifies the agent of pushes, by the last part of the path: `/hooks/<name>`. Without any there is no listener."""
    field_managers: FieldManagers = FieldManagers()
    """Who is who among the field managers of live objects, as `metadata.managedFields` names them."""
    audit: AuditSettings = AuditSettings()
    """The audit trail."""
    limits: Limits = Limits()
    """What the agent takes at most."""
    probe_interval_seconds: Annotated[int, Field(ge=5, le=86_400)] = 30
    """How often stores are asked whether a secret has a new version."""

    def dependencies_of(self, namespace: str) -> tuple[str, ...]:
        """Patterns of the other namespaces whose Applications those of `namespace` may wait for."""
        grants = (grant for grant in self.dependencies if name_matches(grant.application_namespace, namespace))
        return tuple(pattern for grant in grants for pattern in grant.namespaces)

    def windows_of(self, namespace: str, name: str) -> tuple[SyncWindow, ...]:
        """The sync windows of an Application that it cannot take back."""
        return tuple(
            window
            for window in self.sync_windows
            if name_matches(window.application_name, name)
            and any(name_matches(pattern, namespace) for pattern in window.application_namespaces)
        )


def parse(tree: Tree, *, file: str = "") -> OperatorSettings:
    """Settings from the file's tree; an empty file (None) gives the defaults. Raises ConfigError with the field's path only."""
    try:
        return validate(OperatorSettings, {} if tree is None else tree)
    except Problem as problem:
        error = ConfigError(problem.cause, hint=problem.hint, field=problem.field)
        if file:
            error = error.with_facts(file=file)
        if problem.also:
            error = error.with_facts(also=", ".join(problem.also))
    raise error


def _plain_url(url: str) -> str:
    return url.rstrip("/").removesuffix(".git")
