"""`solesource prepare`: bring a Kafka of your own to what the map needs; `solesource up` does it by itself."""

from broker.cli.output import AsJson, show
from broker.settings import Settings

ADMIN = "admin"


def prepare(as_json: AsJson = False) -> None:
    """Make users, topics and rights on Kafka, and publish the map. Running it again changes nothing."""
    from broker.kafka import estate
    from broker.kafka.admin import CONSOLE, CONTROL, GATE, admin_client
    from broker.rules import rules_of
    from ownership.reading import mask_keys

    settings = Settings()
    documents = settings.map_documents()
    ownership_map = rules_of(documents, 0).ownership_map
    systems = ownership_map.systems
    # I7: a system without a password of its own, or a mask without a key, stops it here, before anything is made.
    for number in mask_keys(ownership_map):
        settings.mask_key(number)
    passwords = {user: settings.password(user) for user in (GATE, CONTROL, CONSOLE, *sorted(systems))}
    admin = admin_client(settings.access(ADMIN))
    estate.allowed(admin, settings.access(ADMIN), documents)
    done = estate.prepare(
        admin,
        documents,
        passwords,
        partitions=settings.partitions,
        slots=settings.slots,
        replicas=settings.replicas,
    )
    version = estate.publish_map(settings.access(CONTROL), documents, "prepare")
    made = ", ".join(done.topics_made) or "none was missing"
    show(
        {
            "users": done.users,
            "topics_made": done.topics_made,
            "settings_mended": done.settings_mended,
            "acls": done.acls,
            "map_version": version,
            "bootstrap": settings.bootstrap,
        },
        as_json=as_json,
        text=f"Kafka at {settings.bootstrap} is prepared.\n"
        f"Users: {', '.join(done.users)}.\n"
        f"Topics made: {made}.\n"
        f"Topics whose settings were mended: {', '.join(done.settings_mended) or 'none'}.\n"
        f"Rights in force: {done.acls}.\n"
        f"Map version in force: {version}.",
    )
