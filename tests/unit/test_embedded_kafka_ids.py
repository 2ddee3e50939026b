"""What an embedded Kafka is started with: ids that are no options, sessions that end before a broker is back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from broker.embedded.properties import NodeSettings, cluster_id, server_properties


def test_no_cluster_id_begins_with_a_dash() -> None:
    ids = [cluster_id(bytes((first,)) + bytes(15)) for first in range(256)]
    assert not [found for found in ids if found.startswith("-")]
    assert {len(found) for found in ids} == {22}


def test_brokers_of_several_have_short_sessions() -> None:
    """Decision 0021: who comes back within its session still takes itself for the leader."""
    alone = NodeSettings(
        storage_dir=Path("x"), port=1, controller_port=2, node_password="a", controller_password="b"
    )
    assert "broker.session" not in server_properties(alone)
    several = replace(alone, voters={1: 2, 2: 3, 3: 4})
    assert "broker.session.timeout.ms=3000\n" in server_properties(several)
