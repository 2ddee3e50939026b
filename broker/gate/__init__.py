"""The gate's core: what becomes of a change, decided and nothing else.

Pure: no I/O, no clock, no randomness (I5). Reads downward: reason, change, state, decision, then decide, then route.
"""
