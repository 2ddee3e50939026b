"""Small bugs in the core, one at a time: does a test see each of them? `make mutants`."""
