"""The names by which Kubernetes knows us. Labels and annotations of *managed objects* are in `manifests.ownership`."""

from __future__ import annotations

from typing import Final

GROUP: Final = "signet-gitops.dev"
VERSION: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{VERSION}"
KIND: Final = "Application"
PLURAL: Final = "applications"
SINGULAR: Final = "application"
SHORT_NAME: Final = "sgapp"
CATEGORY: Final = "signet"
CRD_NAME: Final = f"{PLURAL}.{GROUP}"

ANNOTATION_REQUESTED_AT: Final = f"{GROUP}/requested-at"
"""On an Application: a new value asks for one reconciliation now."""
ANNOTATION_PUSHED_AT: Final = f"{GROUP}/pushed-at"
"""On an Application: a new value says that a webhook brought a push to another agent."""
ANNOTATION_CONFIRM_PRUNE: Final = f"{GROUP}/confirm-prune"
"""On an Application: names the guarded deletions that are confirmed."""
ANNOTATION_CONFIRM_ADDITIONS: Final = f"{GROUP}/confirm-additions"
"""On an Application: names the revision for which it was confirmed that additions from before an upgrade are removed."""

ANNOTATION_CONFIRM_NEW_VALUES: Final = f"{GROUP}/confirm-new-values"
"""On an Application: names the values of a chart that are lost, and for which new ones may be made."""

ANNOTATION_CONFIRM_QUESTIONS: Final = f"{GROUP}/confirm-questions"
"""On an Application: names the questions of a chart that may be asked of sealed values though others failed before."""

FIELD_MANAGER: Final = "signet"
"""As which the agent applies objects. Commands have field managers of their own: `signet-sync`."""

FINALIZER: Final = f"{GROUP}/prune"
"""Of an Application whose objects go with it."""

ANNOTATION_RERUN: Final = f"{GROUP}/rerun"
"""On an Application: a new value that names objects (`Job/migrate`) asks to run again what has run to its end."""

AGENT_NAMESPACE: Final = "signet-system"
SERVICE_ACCOUNT: Final = "signet-applier"
"""The ServiceAccount that an Application acts as, unless it names another."""
PEOPLE: Final = ("before-first-apply", "kubectl*")
"""Field managers that are people, unless the operator lists others: `*` stands for any run of characters."""

ENGINE: Final = "1"
"""Raised when the agent itself would make another object of the same sealed merge: everything is then applied once more."""
RECORDS: Final = "1"
"""Raised when an earlier agent could not read the records that this one stores. No record has it: it is for `agent version`."""
