"""Which system may say what: the ownership map, as pure values. No I/O below this package, except reading a map directory."""
