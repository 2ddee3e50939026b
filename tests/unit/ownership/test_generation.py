"""The generation of an object's topics in its file: put in, changed, and nothing else touched."""

from __future__ import annotations

import pytest
import yaml

from ownership.errors import MapRefused
from ownership.generation import file_of, generations_in, with_generation

TEXT = """# Customers.
object: customer   # as in the topics
description: |
  generation: 7 is no key here
key: customer_id
"""


def test_it_is_put_in_and_changed_and_the_rest_stays() -> None:
    second = with_generation(TEXT, "customer.yaml", 2, 6)
    assert second.splitlines()[1:4] == [
        "object: customer   # as in the topics",
        "generation: 2",
        "partitions: 6",
    ]
    assert second.replace("generation: 2\npartitions: 6\n", "") == TEXT
    noted = second.replace("partitions: 6", "partitions: 6  # since March")
    third = with_generation(noted, "customer.yaml", 3, 12)
    assert "generation: 3\npartitions: 12  # since March\n" in third
    assert yaml.safe_load(third) == yaml.safe_load(TEXT) | {"generation": 3, "partitions": 12}
    only = with_generation("object: customer\npartitions: 4\nkey: id", "customer.yaml", 2, 6)
    assert yaml.safe_load(only) == {"object": "customer", "partitions": 6, "generation": 2, "key": "id"}


def test_a_file_that_is_not_written_line_by_line_is_refused() -> None:
    for text in ("{object: customer, key: id}", "{object: customer,\n key: id}"):
        with pytest.raises(MapRefused) as refused:
            with_generation(text, "customer.yaml", 2, 6)
        assert refused.value.findings[0].code == "map.not_by_line"


def test_files_tell_their_objects() -> None:
    documents = {
        "a.yaml": TEXT,
        "b.yaml": "object: order\ngeneration: 3\n",
        "systems.yaml": "systems: {}",
        "c.avsc": "{",
    }
    assert generations_in(documents) == {"customer": 1, "order": 3}
    assert file_of(documents, "order") == "b.yaml" and file_of(documents, "item") is None
