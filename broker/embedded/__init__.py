"""Real servers that pip alone brings, for the demonstration, for tests and for a single machine.

Kafka, PostgreSQL and Tryton run as child processes on loopback, with generated passwords. Nothing here
decides anything about data, and nothing of the gate's path depends on it: in production these are other
people's servers.
"""
