"""How a system joins: the SDK and one package per system. Nothing here knows who owns what."""
