"""Plans made and versions looked up: files beside the map in force, earlier versions beside a moment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from broker.kafka.admin import KafkaRefused
from broker.kafka.estate import same_generations
from broker.published import PublishedMap
from broker.rules import rules_of
from ownership.changed import Change
from ownership.changes import changes
from ownership.generation import file_of, with_generation
from ownership.map import OwnershipMap
from ownership.plan import Plan, plan_of, silent_changes
from schemas.learned import carried


def compiled(published: PublishedMap) -> OwnershipMap:
    """What a version says; nobody owns anything where there is none."""
    if not published.version:
        return OwnershipMap(version=0, digest="")
    return rules_of(published.documents, published.version).ownership_map


def planned(newest: PublishedMap, documents: Mapping[str, str]) -> Plan:
    """What these files would change. Raises MapRefused, SchemaError or KafkaRefused for files that cannot be used."""
    wanted = carried(newest.documents, documents)
    same_generations(newest.documents, wanted)
    after = PublishedMap(newest.version + 1, documents=wanted)
    said = differences(newest, after)
    return plan_of(newest.version, newest.digest, wanted, said)


def differences(before: PublishedMap, after: PublishedMap) -> list[Change]:
    """What one version says otherwise than the one before it."""
    was, now = compiled(before), compiled(after)
    said = list(changes(was, now))
    files = {name: entry.file for found in (was, now) for name, entry in found.objects.items()}
    return said + silent_changes(before.documents, after.documents, files, said)


def version_at(versions: Sequence[PublishedMap], at_ms: int) -> PublishedMap | None:
    """The version that was in force at a moment; None = there was none yet."""
    found = [one for one in versions if one.published_ms <= at_ms]
    return found[-1] if found else None


def files_of(versions: Sequence[PublishedMap], number: int) -> dict[str, str]:
    """The files with which an earlier version is in force again. Raises KafkaRefused when there is no such version.

    Contracts and generations of topics stay as they are: what was written since must be read, and topics of before
    lack what came since.
    """
    newest = versions[-1] if versions else PublishedMap()
    earlier = next((one for one in versions if one.version == number), None)
    if earlier is None:
        known = f"1 to {newest.version}" if versions else "none at all"
        msg = f"there is no version {number} of the map, there is {known} [map.no_version] See `map history`."
        raise KafkaRefused(msg)
    files = {name: text for name, text in earlier.documents.items() if name.endswith(".yaml")}
    files |= {name: text for name, text in newest.documents.items() if not name.endswith(".yaml")}
    was = compiled(earlier).objects
    for name, entry in compiled(newest).objects.items():
        file = file_of(files, name)
        if file is not None and was[name].generation != entry.generation:
            assert entry.partitions is not None  # a map with a second generation says them
            files[file] = with_generation(files[file], file, entry.generation, entry.partitions)
    return files
