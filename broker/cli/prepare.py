"""`solesource prepare`: bring a Kafka of your own to what the map needs; `solesource up` does it by itself."""

from collections.abc import Mapping

from broker.cli.output import AsJson, show
from broker.kafka import estate
from broker.kafka.admin import CONSOLE, CONTROL, GATE, admin_client
from broker.rules import rules_of
from broker.settings import Settings
from ownership.reading import mask_keys

ADMIN = "admin"


def prepare(as_json: AsJson = False) -> None:
    """Make users, topics and rights on Kafka for the map in force; where there is none, publish it first."""
    settings = Settings()
    documents = settings.map_documents()
    access = settings.access(CONTROL)
    newest = estate.map_there(admin_client(settings.access(ADMIN)), settings.access(ADMIN))
    done = brought_up(settings, newest.documents or documents)
    in_force = estate.first_map(access, documents, "prepare")
    differ = not estate.says_the_same(in_force, documents)
    made = ", ".join(done.topics_made) or "none was missing"
    text = (
        f"Kafka at {settings.bootstrap} is prepared.\n"
        f"Users: {', '.join(done.users)}.\n"
        f"Topics made: {made}.\n"
        f"Topics whose settings were mended: {', '.join(done.settings_mended) or 'none'}.\n"
        f"Rights in force: {done.acls}.\n"
        f"Map version in force: {in_force.version}."
    )
    if differ:
        text += (
            "\nThe files say something else than this version. See what they would change: `solesource map plan`; "
            "put it in force: `solesource map apply`."
        )
    document = {
        "users": done.users,
        "topics_made": done.topics_made,
        "settings_mended": done.settings_mended,
        "acls": done.acls,
        "map_version": in_force.version,
        "files_differ": differ,
        "bootstrap": settings.bootstrap,
    }
    show(document, as_json=as_json, text=text)


def brought_up(settings: Settings, documents: Mapping[str, str]) -> estate.Prepared:
    """Make what a map's files need on Kafka. Raises SettingsRefused, KafkaRefused."""
    ownership_map = rules_of(documents, 0).ownership_map
    # I7: a system without a password of its own, or a mask without a key, stops it here, before anything is made.
    for number in mask_keys(ownership_map):
        settings.mask_key(number)
    users = (GATE, CONTROL, CONSOLE, *sorted(ownership_map.systems))
    return estate.prepare(
        admin_client(settings.access(ADMIN)),
        documents,
        {user: settings.password(user) for user in users},
        partitions=settings.partitions,
        slots=settings.slots,
        replicas=settings.replicas,
    )
