"""A seeded simulation of the gate and of all that surrounds it: the log, workers, systems, people, and faults.

Deterministic: one `random.Random(seed)`, a clock that only events move, no Kafka, no threads. What decides is the
product's own pure code; what does I/O in the product (transactions, opening a slot, reading) has a counterpart here.
"""
