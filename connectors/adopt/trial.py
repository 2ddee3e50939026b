"""`python -m connectors.adopt.trial CONFIG.yaml`: a mapping tried on the newest records of its topics.

Shows what would be told and what would be held, and why. Writes nothing: neither to Kafka nor to the connector's store.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import structlog

from connectors.adopt.avro_values import AvroReader
from connectors.adopt.build import adopted_of
from connectors.adopt.formats import Foreign
from connectors.adopt.position import Standing
from connectors.adopt.registry import schemas_of
from connectors.adopt.settings import AdoptSettings, TopicMapping, mappings_of
from connectors.adopt.source import Adopted
from connectors.adopt.topics import Topics
from connectors.sdk.__main__ import EXIT_CONFIG
from connectors.sdk.adapter import Context
from connectors.sdk.config import ConnectorConfig, checked, load_config
from connectors.sdk.errors import ConfigInvalid, ConnectorError
from connectors.sdk.source import ChangeEvent
from connectors.sdk.store import Store
from connectors.sdk.wiring import contracts_of

RECORDS = 20
EXIT_HELD = 1
_WIDTH = 60


async def newest(config: ConnectorConfig, records: int) -> tuple[list[str], bool]:
    """Lines about the newest records of every topic of a connector, and whether any would be held.

    Raises ConnectorError.
    """
    contracts = contracts_of(config)
    store = Store(":memory:")
    context = Context(
        config.system, config.settings, config.objects, contracts, config.folder, store.shelf("trial")
    )
    settings = checked(AdoptSettings, context.settings, "settings")
    mappings = mappings_of(context)
    avro = AvroReader()
    adopted, schemas = adopted_of(context, mappings, avro), schemas_of(settings, config.folder, avro)
    standings = {name: Standing(mapping.topic, mapping.mapping, "") for name, mapping in mappings.items()}
    topics = Topics(settings.options(config.folder), standings, records)
    try:
        await topics.start(frozenset())
        found = {name: await topics.newest(standing.topic, records) for name, standing in standings.items()}
        if schemas is not None:
            await schemas.learn(r for name, some in found.items() if mappings[name].is_avro for r in some)
    finally:
        await topics.close()
        if schemas is not None:
            await schemas.close()
        store.close()
    parts = [told(mappings[name], adopted[name], standings[name], found[name]) for name in mappings]
    return [line for lines, _ in parts for line in lines], any(held for _, held in parts)


def told(
    mapping: TopicMapping, adopted: Adopted, standing: Standing, records: Iterable[Foreign]
) -> tuple[list[str], bool]:
    """Lines about the records of one topic, and whether any would be held."""
    lines = [f"{mapping.topic} ({mapping.format}, mapping {mapping.mapping})"]
    counts: Counter[str] = Counter()
    for record in records:
        outcome, words = _outcome(adopted.change(record, standing))
        counts[outcome] += 1
        lines.append(f"  {record.partition}/{record.offset}  {outcome:<11}  {words}")
    summed = ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items()))
    lines.append(f"  {summed or 'no records'}")
    for words, columns in (("not mapped", adopted.spare), ("not there", adopted.missing)):
        if columns:
            lines.append(f"  columns {words}: {', '.join(sorted(columns))}")
    return lines, counts["held"] > 0


def _outcome(event: ChangeEvent | None) -> tuple[str, str]:
    if event is None:
        return "passed over", ""
    if event.original is not None:
        return "held", str(json.loads(event.original)["unmapped"])
    if event.deletes:
        return "gone", event.key
    values = [f"{name}={_short(event.values[name])}" for name in sorted(event.values)]
    return "told", "  ".join(
        [event.key, *values, *(f"{name} not read along" for name in sorted(event.unavailable))]
    )


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= _WIDTH else text[: _WIDTH - 1] + "…"


def main(arguments: list[str]) -> int:
    """Exit code: 0 all would be told, 1 some would be held, 2 the configuration cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m connectors.adopt.trial", description=__doc__)
    parser.add_argument("config", type=Path)
    parser.add_argument("--records", type=int, default=RECORDS, help="of each topic, the newest")
    given = parser.parse_args(arguments)
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL)
    )  # what it says is below
    try:
        config = load_config(given.config)
        if config.adapter != "adopt":
            msg = f"{given.config}: adapter {config.adapter} adopts no topics"
            raise ConfigInvalid(msg)
        lines, held = asyncio.run(newest(config, max(1, given.records)))
    except ConnectorError as error:
        sys.stderr.write(f"{error.detail} [{error.code}]\n{error.remedy}\n")
        return EXIT_CONFIG
    sys.stdout.write("\n".join(lines) + "\n")
    return EXIT_HELD if held else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
