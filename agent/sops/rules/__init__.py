"""`.sops.yaml`: for whom a new file is encrypted, and which of its values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.values.dataclass import dataclass

if TYPE_CHECKING:
    from agent.sops.format.groups import Recipients
    from agent.sops.format.selection import Selection


@dataclass(frozen=True, slots=True)
class CreationRule:
    """Whom a new file is encrypted for, and what of it. The groups are as the rule has them, an empty one too.

    `by_path`: the rule says which paths it is for, so that it is no rule for whatever else there is.
    """

    recipients: Recipients
    selection: Selection
    by_path: bool = False
