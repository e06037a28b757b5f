"""Exit codes of errors, those of the sops command where it has the same fault. An error without one here exits with 1.

From cmd/sops/codes/codes.go and what sops 3.13 was seen to exit with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from agent.cli import errors as commands
from agent.values import errors

if TYPE_CHECKING:
    from collections.abc import Mapping

DATA_KEY: Final = 128
_BY_CLASS: Final[Mapping[type[errors.AgentError], int]] = {
    errors.AlreadyEncryptedError: 203,
    commands.CommandError: 1,
    errors.ConfigError: 2,
    commands.ConflictingFlagsError: 8,
    errors.DataKeyError: 128,
    commands.DecryptionOrderError: 112,
    commands.EditorError: 201,
    errors.EmitError: 4,
    errors.EmptyDocumentError: 92,
    errors.EncryptionContextError: 6,
    errors.ExtractPathError: 91,
    commands.FileMissingError: 100,
    commands.KeyChangeError: 49,
    errors.LimitError: 2,
    errors.MacMismatchError: 51,
    errors.MisfitError: 2,
    errors.NoSuchPlaceError: 1,
    commands.NotSupportedError: 1,
    errors.PlaceShapeError: 1,
    errors.SetFormatError: 7,
    errors.SopsDecryptError: 25,
    errors.SopsEncryptError: 23,
    errors.SopsKeyTypeError: 23,
    commands.UnchangedError: 200,
    commands.UsageError: 2,
    commands.WriteError: 3,
    errors.YamlError: 2,
}
# where sops exits differently for the same fault of different commands
_BY_CASE: Final[Mapping[str, int]] = {
    "data key": DATA_KEY,
    "general": 1,
    "key change": 49,
    "to decrypt": 1,
    "usage": 2,
}


def of(error: errors.AgentError | type[errors.AgentError]) -> int:
    """The exit code of a command that ends with this error, from 1 to 255: that of its case, else of the nearest class that has one."""
    if error.case:
        return _BY_CASE[error.case]
    kind = error if isinstance(error, type) else type(error)
    return next((_BY_CLASS[each] for each in kind.__mro__ if each in _BY_CLASS), 1)
