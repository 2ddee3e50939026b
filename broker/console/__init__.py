"""The console: what operations read and decide in a browser, as its own process.

It reads the store, and writes nothing but people's decisions: as commands into the log, where the gate judges
them.
"""
