"""What Git, a store or a cluster refused, or did not answer."""

from __future__ import annotations

from agent.values.errors.root import AgentError


class SourceError(AgentError): ...


class SourceUnavailableError(SourceError):
    transient = True


class SignatureError(SourceError):
    usual_hint = "push a commit on top that a signer signs"


class UnsignedError(SignatureError): ...


class UnknownSignerError(SignatureError):
    usual_hint = "the operator adds a signer to the files that git.signatures of the operator's file names"


class SignerExpiredError(SignatureError):
    usual_hint = "renew the key, let the operator replace it, and sign a commit on top"


class SignerRevokedError(SignatureError): ...


class StoreError(AgentError): ...


class StoreDeniedError(StoreError): ...


class StoreNotFoundError(StoreError): ...


class UnknownStoreError(StoreError): ...


class StoreUnavailableError(StoreError):
    transient = True


class ClusterError(AgentError): ...


class ObjectInvalidError(ClusterError):
    @property
    def fields(self) -> list[str]:
        """The fields that it names."""
        named = str(self.facts.get("fields", self.facts.get("field", "")))
        return [field for field in named.split(", ") if field]


class ImmutableFieldError(ClusterError): ...


class ForbiddenError(ClusterError): ...


class NotWatchedError(ClusterError):
    usual_hint = 'add the rule to a ClusterRole with the label signet-gitops.dev/aggregate-to-agent: "true"'


class NotFoundError(ClusterError): ...


class FieldConflictError(ClusterError): ...


class StaleObjectError(ClusterError):
    transient = True


class ExpiredError(ClusterError):
    transient = True


class ClusterUnavailableError(ClusterError):
    transient = True
