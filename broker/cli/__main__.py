"""`python -m broker.cli` is `solesource`."""

from broker.cli.root import main

main()
