"""`python -m connectors.sdk.backfill_command CONFIG.yaml OBJECT`: one backfill, told as JSON lines on stdout.

The last line has the step `ended` or `refused`. `solesource backfill` shows these lines to people. Whoever reads
them going away is a reason to stop.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from pathlib import Path
from typing import Any

from connectors.sdk.__main__ import EXIT_CONFIG, EXIT_DEFECT, set_up_logs
from connectors.sdk.backfill import KeyRange
from connectors.sdk.backfill_loop import PATIENCE_S, RATE, Order, run_backfill
from connectors.sdk.config import load_config
from connectors.sdk.errors import ConnectorError

EXIT_NOT_ALL = 2
"""Stopped before the end, or records whose key cannot be published."""


def order_of(arguments: argparse.Namespace) -> Order:
    return Order(
        object=arguments.object,
        keys=KeyRange(arguments.first, arguments.last),
        fields=frozenset(arguments.fields.split(",")) if arguments.fields else None,
        rate=arguments.rate,
        patience_s=arguments.wait,
        again=arguments.again,
    )


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m connectors.sdk.backfill_command")
    parser.add_argument("config", type=Path)
    parser.add_argument("object")
    parser.add_argument("--from", dest="first")
    parser.add_argument("--through", dest="last")
    parser.add_argument("--fields", default="")
    parser.add_argument("--rate", type=int, default=RATE)
    parser.add_argument("--wait", type=int, default=PATIENCE_S)
    parser.add_argument("--again", action="store_true")
    return parser.parse_args(arguments)


async def run(arguments: argparse.Namespace) -> int:
    """Run until the end or a signal."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)

    def say(step: dict[str, Any]) -> None:
        try:
            sys.stdout.write(json.dumps(step) + "\n")
            sys.stdout.flush()
        except OSError:
            stop.set()

    try:
        done = await run_backfill(load_config(arguments.config), order_of(arguments), stop, say)
    except ConnectorError as error:
        say({"step": "refused", "code": error.code, "detail": error.detail, "remedy": error.remedy})
        return EXIT_CONFIG if error.code == "connector.config_invalid" else EXIT_DEFECT
    return 0 if done.finished and not done.unusable else EXIT_NOT_ALL


def main(arguments: list[str]) -> int:
    set_up_logs()
    return asyncio.run(run(parse(arguments)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
