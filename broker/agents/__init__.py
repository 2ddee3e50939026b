"""Low-rate stages beside the gate: indexing into SQL, ticks, evaluation of the promises, and their
process.
"""
