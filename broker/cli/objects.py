"""`solesource object repartition`: another number of partitions for an object, while its systems go on."""

import asyncio
import getpass
import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from aiokafka.errors import KafkaError
from rich.console import Console

from broker.cli.files import write
from broker.cli.output import DIFFERENCES, AsJson, CommandRefused, show
from broker.settings import Settings

app = typer.Typer(no_args_is_help=True, help="What an object has on Kafka.")
ADMIN = "admin"
WORDS: dict[str, str] = {
    "looked": "The gate answers. {object} has {partitions} partitions, in generation {generation} of its topics.",
    "made": "Made: {new} of the {topics} topics of the next generation; the others were there.",
    "draining": "Nobody may write now. To be judged yet: {records} in {inputs} partitions.",
    "copying": "Copied: {records} records.",
    "found": "An earlier run has copied everything.",
    "copied": "{records} records are copied, and were read back the same.",
    "switched": "Map version {map_version} is published; the new topics are in force.",
}


@app.callback()
def object_group() -> None:
    """What an object has on Kafka."""


@app.command("repartition")
def repartition_object(
    object_name: Annotated[str, typer.Argument(metavar="OBJECT", help="The object, such as customer.")],
    partitions: Annotated[int, typer.Option(min=1, max=1024, help="So many it shall have.")],
    by: Annotated[str, typer.Option(help="Who orders it.", default_factory=getpass.getuser)],
    wait: Annotated[
        int, typer.Option(min=1, help="So long what was written may take to be judged (s).")
    ] = 300,
    as_json: AsJson = False,
) -> None:
    """Give an object other topics with so many partitions; cut off, the command is given again."""
    from broker.kafka.admin import admin_client
    from broker.repartition.run import Means, repartition

    settings = Settings()
    files = settings.map_documents()
    folder = settings.map_dir or Path()
    if blocked := [name for name in files if not os.access(folder / name, os.W_OK)]:
        msg = (
            f"{folder / blocked[0]} cannot be written [repartition.files] The map's files are to say it, too."
        )
        raise CommandRefused(msg)
    means = Means(
        admin=admin_client(settings.access(ADMIN)),
        gate=settings.access("gate"),
        control=settings.access("control"),
        files=files,
        write=lambda name, text: write(folder / name, text),
        partitions=settings.partitions,
        slots=settings.slots,
        replicas=settings.replicas,
        wait_s=wait,
        by=by,
        say=_teller(object_name, as_json=as_json),
    )
    try:
        done = asyncio.run(repartition(means, object_name, partitions))
    except (KafkaError, TimeoutError, OSError) as error:
        msg = f"Kafka did not do it: {type(error).__name__} [repartition.cut] Give the command again: it goes on."
        raise CommandRefused(msg) from error
    show(asdict(done), as_json=as_json, text=summary(asdict(done)))
    if not done.answered or done.not_judged:
        raise typer.Exit(DIFFERENCES)


def _teller(object_name: str, *, as_json: bool) -> Callable[[dict[str, Any]], None]:
    """Says each step once, on standard error where the result is for programs."""
    console, before = Console(stderr=as_json, soft_wrap=True), [""]

    def say(step: dict[str, Any]) -> None:
        line = WORDS[step["step"]].format(
            object=object_name, **{k: v for k, v in step.items() if k != "step"}
        )
        if line != before[0]:
            console.print(line, markup=False, highlight=False)
        before[0] = line

    return say


def summary(done: dict[str, Any]) -> str:
    """The result for people."""
    first = (
        f"{done['object']} has {done['partitions']} partitions: generation {done['generation']} of its topics"
    )
    said = [f"{first}, map version {done['map_version']}. For {done['closed_s']} s nobody could write."]
    if done["misplaced"]:
        said.append(f"{done['misplaced']} records were left behind: they were never at their key's place.")
    if not done["answered"]:
        said.append("The gate has not judged a tick there yet: does it run? Give the command again to look.")
    if done["not_judged"]:
        said.append(
            f"NOT JUDGED: something came after all to {', '.join(done['not_judged'])}. Publish it again."
        )
    if done["old_topics"]:
        said.append(f"Still there, closed for writing: {', '.join(done['old_topics'])}.")
        said.append("Delete them with Kafka's own tools once no case and no reader needs them.")
    if done["generation"] > 1:
        said.append("Commit the map's file: it names the generation now.")
    return "\n".join(said)
