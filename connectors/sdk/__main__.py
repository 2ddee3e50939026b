"""`python -m connectors.sdk CONFIG.yaml`: run one connector until SIGTERM or SIGINT. Logs JSON lines to
stderr.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from pathlib import Path

import structlog

from connectors.sdk.config import load_config
from connectors.sdk.errors import ConnectorError
from connectors.sdk.runner import run_connector

EXIT_CONFIG = 2
EXIT_DEFECT = 1


def set_up_logs() -> None:
    """JSON lines to stderr, ours and those of the libraries (warnings and worse)."""
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.WARNING,
        format='{"event": "library", "logger": "%(name)s", "level": "%(levelname)s"}',
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
    )


async def run(path: Path) -> None:
    """Run the connector of that file until a signal asks it to stop."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await run_connector(load_config(path), stop)


def main(arguments: list[str]) -> int:
    """Exit code: 0 stopped, 1 a defect or a system that cannot be served, 2 the configuration cannot be
    used.
    """
    set_up_logs()
    log = structlog.get_logger("connectors.sdk")
    if len(arguments) != 1:
        log.error("usage", usage="python -m connectors.sdk CONFIG.yaml")
        return EXIT_CONFIG
    try:
        asyncio.run(run(Path(arguments[0])))
    except ConnectorError as error:
        log.error("connector.refused", code=error.code, detail=error.detail, remedy=error.remedy)  # noqa: TRY400 - the message is the answer
        return EXIT_CONFIG if error.code == "connector.config_invalid" else EXIT_DEFECT
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
