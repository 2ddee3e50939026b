"""The broker: it decides which change is authoritative, and shows what happened.

`gate` decides and does no I/O; `lane` runs it over Kafka; `store`, `console` and `control` make it visible.
No connector is imported from here, except by the demonstration (`broker.demo`).
"""
