"""The versions of the map as the database keeps them, on both databases."""

from __future__ import annotations

from broker.published import PublishedMap
from broker.store.engine import Engine, reading, writing
from broker.store.versions import index_versions, newest_version, versions_known, versions_of_file


def test_one_file_through_the_versions(store: Engine) -> None:
    texts = [
        {"systems.yaml": "s"},
        {"systems.yaml": "s", "cust-omer.yaml": "ü: 'a'\n"},
        {"cust-omer.yaml": ""},
    ]
    versions = [PublishedMap(n, f"d{n}", found, "ana", n * 10) for n, found in enumerate(texts, 1)]
    with writing(store) as connection:
        index_versions(connection, versions)
        index_versions(connection, [PublishedMap(3, "late", {}, "otto", 99)])
    with reading(store) as connection:
        assert versions_known(connection) == versions
        assert newest_version(connection) == versions[-1]
        assert versions_of_file(connection, "cust-omer.yaml", 9) == [
            (1, "ana", 10, None), (2, "ana", 20, "ü: 'a'\n"), (3, "ana", 30, ""),
        ]  # fmt: skip
        assert [one[0] for one in versions_of_file(connection, "systems.yaml", 2)] == [2, 3]
