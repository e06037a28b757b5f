"""A changed tree written into the text it came from, so that nothing else changes.

Comments, blank lines, quotes, indents, the order of keys and the marks of documents stay as they were written. Where nothing but
values changed in a plainly written file they are put over the old ones (`values`); all else is for `attempts`, which take longer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.yaml.edit import values
from agent.yaml.edit.edits import Spliced
from agent.yaml.edit.originals import YamlOriginal, says
from agent.yaml.matching import same_documents, uncommented
from agent.yaml.nodes import Entry, Mapping

if TYPE_CHECKING:
    from collections.abc import Sequence as List

    from agent.yaml.limits import Limits


def splice(
    before: bytes | YamlOriginal,
    documents: List[Mapping],
    *,
    file: str,
    limits: Limits | None = None,
    indent: int = 4,
    rewrite: str = "",
    ignore_comment_position: bool = False,
    ends: bool = False,
) -> Spliced:
    """The text nearest to `before` that says `documents`: maps and lists with their comments, as `yaml.parse` gives them.

    `before` is a YAML file, or one that the caller has read already. `indent` is that of entries put at the end of a document, which
    are written as sops writes them, and of a file that has to be rewritten; the entry `rewrite` of each document goes and comes so.
    Whether a comment is inline is layout: it stays where it stood. `ignore_comment_position`: so is which map or list it is read in. `ends`: a file without a
    line break at its end stays so, whatever comes there. Raises YamlError and LimitError for a `before` that does not parse.
    """
    original = before if isinstance(before, YamlOriginal) else YamlOriginal(before, file=file, limits=limits)
    if same_documents(original.documents, documents):
        return Spliced(original.text.data)
    if original.read is not None and len(documents) == 1:
        found = values.substitute(original.read, documents[0], indent=indent, rewrite=rewrite)
        if found is not None:
            text, sure = found
            data = original.text.encode(text, complete=True)
            if sure or says(original, data, documents):
                return Spliced(data)
    # Only here, since most changes do without.
    from agent.yaml.edit import attempts

    if rewrite:
        bare = [_without(each, rewrite) for each in original.documents]
        data = attempts.splice(
            original, bare, indent=indent, ignore_comment_position=ignore_comment_position, ends=ends
        ).data
        original = YamlOriginal(data, file=file, limits=limits)
    return attempts.splice(
        original, documents, indent=indent, ignore_comment_position=ignore_comment_position, ends=ends
    )


def splice_json(
    before: bytes, documents: List[Mapping], *, file: str, limits: Limits | None = None, indent: int = 0
) -> Spliced:
    """The same for a JSON file and its one document, whose comments are left out.

    `indent` is that of a file that has to be rewritten, 0 for a tab. Raises YamlError and LimitError, and EmitError for values that
    JSON has no form for.
    """
    # Only here, since YAML files do without.
    from agent.yaml.edit import attempts
    from agent.yaml.edit.json_original import JsonOriginal

    original = JsonOriginal(before, file=file, limits=limits)
    bare = [uncommented(each) for each in documents[:1]]
    return attempts.splice(original, [each for each in bare if isinstance(each, Mapping)], indent=indent)


def _without(document: Mapping, key: str) -> Mapping:
    return Mapping(tuple(item for item in document.items if not (isinstance(item, Entry) and item.key == key)))
