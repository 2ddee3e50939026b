"""What travels: Avro contracts, the wire format, the event envelope and the registry of schema ids.

Nothing here knows who owns what, opens a socket or reads a clock; the one module that reads files is `registry`.
"""
