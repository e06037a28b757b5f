"""Documents and references that the agent cannot take as they are written."""

from __future__ import annotations

from agent.values.errors.inputs import InputError


class ManifestError(InputError):
    usual_hint = "correct the object where it is written"


class DuplicateObjectError(ManifestError): ...


class UnsupportedManifestError(ManifestError): ...


class ForeignNamespaceError(ManifestError): ...


class ForeignDependencyError(ManifestError): ...


class DependencyCycleError(ManifestError): ...


class UnknownKindError(ManifestError): ...


class PlaintextSecretError(ManifestError):
    usual_hint = "encrypt it with agent encrypt, and change its values: the history of Git keeps them"


class VariablesError(ManifestError):
    usual_hint = "set them with spec.substitute, write the values, or commit the output of the tool that sets them"


class DisclosedError(ManifestError):
    usual_hint = (
        "everyone who may read the objects they are in reads their values, which Application and operator both allow"
    )


class AutoscaledReplicasError(ManifestError):
    usual_hint = "take spec.replicas out of the manifest: the live value stays"


class PlaceholderError(InputError):
    usual_hint = (
        "the agent and signet-render disagree: install both of one version, and report it if that does not help"
    )


class SubstitutionError(InputError):
    usual_hint = "$${NAME} is the text ${NAME}; the annotation kustomize.toolkit.fluxcd.io/substitute: disabled leaves an object alone"


class SealedSecretError(InputError):
    usual_hint = "seal the Secret again, or restore the file from Git"


class ReferenceSyntaxError(InputError): ...


class SinkError(InputError): ...


class SecretValueError(InputError): ...
