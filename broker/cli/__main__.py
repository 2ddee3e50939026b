"""`python -m broker.cli` is `solesource`; a process of the broker starts without the imports of other commands."""

import sys

if sys.argv[1:2] in (["gate"], ["control"], ["console"]):
    from broker.cli.output import run
    from broker.cli.processes import alone

    run(alone)
else:
    from broker.cli.root import main

    main()
