"""Faults on real parts: a cluster whose nodes are killed, and a proxy that loses and delays what Kafka says."""
