"""Every error that a user can see, in one tree; a family is a module, and all are imported from here. `agent.cli.errors` has the commands'.

    AgentError
    ├── InputError                user input is wrong; nothing is retried until it changes
    │   ├── YamlError             a file does not parse, or breaks a limit (file, line, column)
    │   ├── EmitError             a document has no form in the type of file asked for
    │   ├── SopsError             what is wrong with an encrypted file, its keys or its rules
    │   │   ├── SopsFormatError       metadata or a value is malformed
    │   │   ├── SopsKeyTypeError      a key that is not a string
    │   │   ├── SopsEncryptError      a value that the format cannot hold
    │   │   ├── MacMismatchError      the file was altered after it was encrypted
    │   │   ├── SopsDecryptError      a value or the MAC does not open
    │   │   ├── DataKeyError          no key opens the data key, or a key cannot wrap it
    │   │   ├── RecipientError        a recipient that is none
    │   │   ├── NoMasterKeyError      nothing to encrypt for
    │   │   ├── UnsoundFileError      found by verify: not what its own rule or .sops.yaml says
    │   │   ├── LeftInClearError      what encrypt would leave readable by mistake
    │   │   ├── ClearValuesError      values in the clear, which the MAC does not hold in their places
    │   │   ├── MergeError            versions of a file that cannot be merged
    │   │   ├── AlreadyEncryptedError
    │   │   ├── SopsRulesError        .sops.yaml is malformed
    │   │   │   └── NoRuleError           none of its rules is for this path
    │   │   ├── EmptyDocumentError
    │   │   ├── SetFormatError        a path or value to set that is none
    │   │   ├── ExtractPathError      a path to extract that is none
    │   │   ├── NoSuchPlaceError      nothing stands at a path
    │   │   ├── PlaceShapeError       a path that asks for a list where there is none
    │   │   │   └── MisfitError           one that no file could have
    │   │   └── EncryptionContextError    what AWS keys are to be used with is not written as it should be
    │   ├── ManifestError         a document is not a manifest we can apply
    │   │   ├── DuplicateObjectError      one identity twice in a layer
    │   │   ├── UnsupportedManifestError  generateName, kustomization.yaml, Chart.yaml
    │   │   ├── ForeignNamespaceError     an object outside the destination
     │   │   ├── ForeignDependencyError    dependsOn names an Application of a namespace that is not granted
    │   │   ├── DependencyCycleError      Applications that depend on one another in a circle
    │   │   ├── UnknownKindError          the cluster does not serve this kind
    │   │   ├── PlaintextSecretError      a Secret that anybody reads in Git
    │   │   ├── VariablesError            text such as ${NAME}, which is applied as it is written
    │   │   ├── DisclosedError            sealed variables that Application and operator make clear text
    │   │   └── AutoscaledReplicasError   replicas in Git that an autoscaler sets
    │   ├── PlaceholderError      what stands for a sealed value in a renderer is cut, unknown or where no secret may stand
    │   ├── SubstitutionError     a variable is not set, or ${…} cannot be read
    │   ├── SealedSecretError     a value of a SealedSecret does not open
    │   ├── ReferenceSyntaxError  a reference that cannot be read, or of a foreign tool
    │   ├── SinkError             a secret where no secret may stand
    │   ├── SecretValueError      a secret's value has not the form that was asked for
    │   ├── RenderError           a renderer refuses what it was given, or has no result
    │   │   ├── RemoteBaseError       a base that would have to be fetched
    │   │   ├── ChartError            what is wrong with a chart or its values
    │   │   ├── SealedValueReadError  a function of a template that needs a value which is not known
    │   │   ├── RandomValueError      a value that a template makes up
    │   │   └── QuestionError         a value that is not what a chart was rendered for
    │   ├── RenderLimitError      more time, memory or output than a renderer may take
    │   └── LimitError            larger than the agent accepts
    ├── SourceError               Git: the address, credential or revision is refused
    │   ├── SignatureError            a commit's signature does not verify
    │   │   ├── UnsignedError             it has none
    │   │   ├── UnknownSignerError        of a key that is not among the signers'
    │   │   ├── SignerExpiredError        of a key that was not valid when the commit was first seen
    │   │   └── SignerRevokedError
    │   └── SourceUnavailableError    the server does not answer; retried
    ├── StoreError                Vault or OpenBao refuses, or has no such value
    │   ├── StoreDeniedError          403, or not allowed by the operator's file
    │   ├── StoreNotFoundError        no such mount, path, version or key
    │   ├── UnknownStoreError         a store that the operator did not configure
    │   └── StoreUnavailableError     sealed, down or slow; retried
    ├── ClusterError              the API server refuses
    │   ├── ObjectInvalidError        422, or a schema error
    │   ├── ImmutableFieldError       a field that only a new object can change
    │   ├── ForbiddenError
    │   ├── NotWatchedError           a kind that the agent may not list and watch; its objects are read at the interval
    │   ├── NotFoundError
    │   ├── FieldConflictError        409 of server-side apply: another manager owns a field
    │   ├── StaleObjectError          409: the object changed in the meantime
    │   ├── ExpiredError              410: the watch must start over
    │   └── ClusterUnavailableError   no answer, 429, 5xx; retried
    ├── OwnershipConflictError    an object that another Application owns
    ├── HeldError                 an object waits for something it needs
    │   ├── GeneratedValueLostError   a value that was made once does not stand there any more
    │   ├── RecoveryNeededError       an earlier Application owns it, and nothing proves which that was
    │   └── WaitsError                a commit waits
    │       ├── DependencyNotReadyError   for an Application that it depends on
    │       └── SyncWindowError           for a sync window
    ├── HookFailedError           a hook of a chart that failed, before which the sync stopped
    ├── HelmReleaseLeftError      a release of Helm whose uninstallation would delete what is the Application's now
    ├── PruneRefusedError         a deletion that waits
    ├── AdditionsError            what people added to an object, and is left there
    ├── FightError                added again each time the agent removes it
    ├── AuditError                the audit trail cannot be written, or does not verify
    ├── LeaseLostError            another agent took over
    ├── DefectError               the agent itself is wrong
    └── ConfigError               the agent's own settings, operator file or kubeconfig

Messages are literals and facts are known to be safe: no text of an exception, an answer or a value enters an error. Text that
comes from Git or a command line (paths, names) is a fact, and its control characters are escaped.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agent.values.errors.engine import *  # noqa: F403
    from agent.values.errors.inputs import *  # noqa: F403
    from agent.values.errors.manifests import *  # noqa: F403
    from agent.values.errors.rendering import *  # noqa: F403
    from agent.values.errors.root import *  # noqa: F403
    from agent.values.errors.servers import *  # noqa: F403
    from agent.values.errors.settings import *  # noqa: F403
    from agent.values.errors.sops import *  # noqa: F403
else:
    _FAMILIES = ("root", "sops", "inputs", "settings", "manifests", "servers", "engine", "rendering")

    def __getattr__(name: str) -> object:
        """A class, whose family is loaded when one of it is asked for: commands on secrets need the first ones."""
        for family in () if name.startswith("_") else _FAMILIES:
            found = vars(import_module(f"{__name__}.{family}"))
            if name in found:
                # All of the family, so that the next one of it is not looked for.
                globals().update((each, kind) for each, kind in found.items() if not each.startswith("_"))
                return found[name]
        raise AttributeError(name)

    def __dir__() -> list[str]:
        return sorted({name for family in _FAMILIES for name in vars(import_module(f"{__name__}.{family}"))})
