"""How many revisions the slots must have written, from the last revision of every record in each generation of topics.

Pure. A revision rises by one each time and is never reset, so in an object's first generation the last one of a record
says how many its slot wrote (I4). In a later one its slot wrote what came on top of what was copied there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

Last = Mapping[bytes, tuple[int, int]]
"""Key to (slot, last revision)."""


def written(generations: Sequence[Last | None]) -> Counter[int]:
    """Slot to the revisions that it wrote at the least; generations in their order, None = the topics are gone.

    What a record had before is not known where those topics are gone, or forgot a record that was deleted.
    """
    found, before = Counter[int](), dict[bytes, tuple[int, int]]()
    for number, last in enumerate(generations):
        for key, (slot, revision) in (last or {}).items():
            base = 0 if number == 0 else before.get(key, (0, revision))[1]
            found[slot] += max(0, revision - base)
        before = dict(last or {})
    return found


def in_all(generations: Sequence[Last | None]) -> int:
    """The revisions that all slots together wrote at the least: the newest generation has every record."""
    return sum(revision for _, revision in (generations[-1] or {}).values())
