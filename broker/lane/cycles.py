"""When the gate looks for reference cycles: between two batches, never within one.

Within a batch its records and what follows from them are all alive, tens of thousands of objects that Python would look
through again and again for nothing: measured, a quarter of the gate's time. After the commit they are gone.
"""

from __future__ import annotations

import gc

YOUNG_MAX = 400_000
ROUNDS = (50, 100)
"""Looks at the youngest objects for one at the middle ones, and of those for one at all."""


def only_between_batches() -> None:
    """Leave out what is imported, which lives as long as the process, and look for cycles only when asked to."""
    gc.freeze()
    gc.disable()


def look_for_cycles() -> None:
    """Look for cycles if enough was made since the last time; called after a commit."""
    young, middle, old = gc.get_count()
    if young >= YOUNG_MAX:
        gc.collect(0 if middle < ROUNDS[0] else 1 if old < ROUNDS[1] else 2)


def look_for_all_cycles() -> None:
    """Look through everything; called when slots were closed, so that nothing of them stays for hours.

    Clients of Kafka hold each other, and the bytes that they have read; other looks at everything lie 2,000 million
    objects apart. It takes a tenth of a second and more, in which nothing is judged: slots change hands just then.
    """
    gc.collect()
