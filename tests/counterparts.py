"""`make test-all` begins here: which counterparts this machine has, said loudly and counted."""

from __future__ import annotations

import shutil
import sys

from tests import apicurio, asyncapi_specs, datacontract_cli, kafka_connect

COUNTERPARTS = {
    "chromium": ("chromium", "chromium-browser", "google-chrome"),
    "javac": ("javac",),
    "oslo (OpenSLO's own reader, Go)": ("oslo",),
}


def main() -> int:
    absent = [name for name, programs in COUNTERPARTS.items() if not any(map(shutil.which, programs))]
    fetched = {
        "Apicurio Registry (Maven)": apicurio,
        "Kafka Connect and Debezium (Maven)": kafka_connect,
        "AsyncAPI's schema (npm)": asyncapi_specs,
        "Data Contract CLI (pip, apart)": datacontract_cli,
    }
    absent += [name for name, counterpart in fetched.items() if not counterpart.to_be_had()]
    for name in absent:
        print(f"ABSENT COUNTERPART: {name}: what needs it is not tested here", flush=True)
    print(
        f"counterparts: {len(COUNTERPARTS) + len(fetched) - len(absent)} present, {len(absent)} absent",
        flush=True,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
