"""Contracts in many shapes, each read by each, beside the verdicts of the Java Avro library."""
