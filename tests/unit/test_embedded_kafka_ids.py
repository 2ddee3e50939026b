"""The embedded Kafka's cluster id is never taken for an option of Kafka's storage tool."""

from __future__ import annotations

from broker.embedded.properties import cluster_id


def test_no_cluster_id_begins_with_a_dash() -> None:
    ids = [cluster_id(bytes((first,)) + bytes(15)) for first in range(256)]
    assert not [found for found in ids if found.startswith("-")]
    assert {len(found) for found in ids} == {22}
