"""`solesource pause | resume | source-reset`: what is ordered for the changes of one system; the gate does it."""

import asyncio
import getpass
import time
from typing import Annotated, Any

import typer
from aiokafka.errors import KafkaError

from broker import topics
from broker.agents.orders import send_everywhere
from broker.cli.output import AsJson, CommandRefused, show
from broker.clock import now_ms
from broker.commands import command_value
from broker.gate.connections import PAUSE, RESUME, SOURCE_RESET
from broker.kafka.reading import TopicReader
from broker.rules import rules_of
from broker.settings import Settings
from schemas.registry import envelopes

ANSWER_S = 20.0
SystemName = Annotated[str, typer.Argument(metavar="SYSTEM", help="The system whose changes are meant.")]
ObjectName = Annotated[str, typer.Argument(metavar="OBJECT", help="The object, such as customer.")]
By = Annotated[str, typer.Option(help="Who orders it.", default_factory=getpass.getuser)]
Note = Annotated[str, typer.Option(help="Why.")]


def pause(
    system: SystemName, object_name: ObjectName, by: By, note: Note = "", as_json: AsJson = False
) -> None:
    """Let the changes of one system wait in their topic; nothing of them is lost."""
    _order(PAUSE, system, object_name, by, note, as_json=as_json)


def resume(
    system: SystemName, object_name: ObjectName, by: By, note: Note = "", as_json: AsJson = False
) -> None:
    """Take the changes of a paused system in again, from where they were left."""
    _order(RESUME, system, object_name, by, note, as_json=as_json)


def source_reset(
    system: SystemName,
    object_name: ObjectName,
    incarnation: Annotated[
        int, typer.Argument(min=1, help="The number in its event ids: seq:INCARNATION:...")
    ],
    by: By,
    note: Note = "",
    as_json: AsJson = False,
) -> None:
    """Record that a source counts its changes anew, for instance because it was restored."""
    _order(SOURCE_RESET, system, object_name, by, note, as_json=as_json, incarnation=incarnation)


def _order(
    command: str, system: str, object_name: str, by: str, note: str, *, as_json: bool, incarnation: int = 0
) -> None:
    settings = Settings()
    entry = rules_of(settings.map_documents(), 0).ownership_map.objects.get(object_name)
    if entry is None or system not in entry.systems:
        msg = f"{system} has no part in {object_name} [order.unknown] `solesource map show` says who has."
        raise CommandRefused(msg)
    issued_ms = now_ms()

    def value(name: str, partition: int) -> bytes:
        return command_value(
            command,
            command_id=f"{command}/{system}/{name}/{partition}/{issued_ms}",
            by=by,
            note=note,
            system=system,
            incarnation=incarnation,
            issued_ms=issued_ms,
        )

    try:
        sent = asyncio.run(send_everywhere(settings.access("console"), [object_name], value))
    except (KafkaError, TimeoutError, OSError) as error:
        msg = f"the order was not sent: {type(error).__name__} [order.not_sent] Check `solesource doctor`; repeat it."
        raise CommandRefused(msg) from error
    answers = _answers(settings, set(sent))
    refused = sum(line["kind"] == "command_refused" for line in answers)
    done = len(answers) - refused
    show(
        {"command": command, "partitions": len(sent), "done": done, "refused": refused},
        as_json=as_json,
        text=f"{command} {system} {object_name}: done in {done} of {len(sent)} partitions"
        + (f", {refused} had nothing to change" if refused else "")
        + ("." if len(answers) == len(sent) else "; the gate has not answered for the rest: does it run?"),
    )
    if len(answers) < len(sent):
        raise typer.Exit(1)


def _answers(settings: Settings, places: set[tuple[str, int, int]]) -> list[dict[str, Any]]:
    """The trail's lines about these commands, once they are all there or the time is over."""
    deadline = time.monotonic() + ANSWER_S
    found: dict[tuple[str, int, int], dict[str, Any]] = {}
    while len(found) < len(places) and time.monotonic() < deadline:
        time.sleep(0.3)
        reader = TopicReader(settings.access("control"))
        try:
            for message in reader.read(topics.TRAIL):
                line = envelopes().codec.decode(message.value())
                place = (line["topic"], line["partition"], line["offset"])
                if place in places:
                    found[place] = line
        finally:
            reader.close()
    return list(found.values())
