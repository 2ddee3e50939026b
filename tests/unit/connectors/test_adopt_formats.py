"""What adopters make of records that Debezium, Kafka Connect and CloudEvents write."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from connectors.adopt.errors import Unmapped
from connectors.adopt.formats import Foreign
from connectors.adopt.json_values import ConnectReader, read_json
from connectors.adopt.trial import told
from connectors.sdk.publish import change_record
from schemas.codec import VALUE_LENGTH_MAX
from schemas.version import SourceVersion, version_of
from tests.connector_parts import REGISTRY
from tests.foreign import FIELDS, TOPIC, Desk, envelope, envelope_schema
from tests.gate_parts import Bench

ADA = {"id": 1, "name": "Ada"}
CREDIT = {**FIELDS, "credit_limit": "credit"}


class TestDebezium:
    def test_a_row_is_told_whole_with_the_databases_own_order(self) -> None:
        event = Desk("debezium").told(envelope("c", ADA, lsn=0xABC))
        assert (event.key, event.values) == ("1", {"customer_id": "1", "name": "Ada"})
        assert event.fields == {"customer_id", "name"} and not event.deletes
        assert event.event_id == "seq:0:0000000000000ABC.0001/1"
        assert event.time_ms == 1_795_000_000_000

    def test_types_that_only_the_schema_tells(self) -> None:
        row = {"id": 1, "name": None, "credit": "ATsr", "at": 1_795_000_000_000_001}
        value = {"schema": envelope_schema(), "payload": envelope("u", row)}
        desk = Desk("debezium", fields=CREDIT)
        for _ in range(2):  # the second time the schema is known by its text
            event = desk.told(value)
            assert event.values["credit_limit"] == Decimal("806.83") and event.values["name"] is None

    def test_without_a_schema_the_mapping_says_what_is_meant(self) -> None:
        row = {**ADA, "credit": "ATsr"}
        assert "credit_limit" in Desk("debezium", fields=CREDIT).held(envelope("c", row))
        meant = {**FIELDS, "credit_limit": {"from": "credit", "as": "decimal", "scale": 2}}
        assert Desk("debezium", fields=meant).told(envelope("c", row)).values["credit_limit"] == Decimal(
            "806.83"
        )

    def test_what_could_not_be_read_along_is_neither_null_nor_a_value(self) -> None:
        event = Desk("debezium").told(envelope("u", {"id": 1, "name": "__debezium_unavailable_value"}))
        assert event.unavailable == {"name"} and "name" not in event.values and "name" in (event.fields or ())

    def test_nor_is_what_an_expression_would_make_of_it(self) -> None:
        fields = {**FIELDS, "name": {"expression": 'row.first + " " + row.last'}, "phone": "phone"}
        row = {
            "id": 1,
            "first": "Ada",
            "last": "__debezium_unavailable_value",
            "phone": "X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ==",
        }
        event = Desk("debezium", fields=fields).told(envelope("u", row))
        assert event.unavailable == {"name", "phone"} and event.values == {"customer_id": "1"}
        tags = {**FIELDS, "email": {"expression": "row.tags[0]"}}
        event = Desk("debezium", fields=tags).told(
            envelope("u", {**ADA, "tags": ["__debezium_unavailable_value"]})
        )
        assert event.unavailable == {"email"}

    def test_a_column_that_its_schema_has_and_the_row_has_not_is_not_set(self) -> None:
        value = {"schema": envelope_schema(), "payload": envelope("u", ADA)}
        assert Desk("debezium", fields=CREDIT).told(value).fields == {"customer_id", "name"}

    def test_an_image_before_is_not_believed_unless_it_is_said_to_be_whole(self) -> None:
        """On a key's change Debezium invents its other columns."""
        change = envelope("u", ADA, before={"id": 1, "name": ""})
        assert Desk("debezium").told(change).fields == {"customer_id", "name"}
        assert Desk("debezium", before_is_whole=True).told(change).fields == {"name"}
        odd = envelope("u", ADA, before={"id": 1, "name": 5})
        assert Desk("debezium", before_is_whole=True).told(odd).fields == {"customer_id", "name"}
        same = envelope("u", ADA, before=ADA)
        assert Desk("debezium", before_is_whole=True).told(same).fields == {"customer_id", "name"}

    def test_of_a_delete_only_kafkas_key_is_believed(self) -> None:
        event = Desk("debezium").told(envelope("d", None, before={"id": 0, "name": None}), key=b'{"id":5}')
        assert (event.key, event.deletes, event.values, event.fields) == ("5", True, {}, None)

    def test_a_tombstone_after_its_delete_says_nothing_more(self) -> None:
        desk = Desk("debezium")
        desk.told(envelope("d", None, lsn=9))
        assert desk.see(None) is None
        desk.told(envelope("c", ADA, lsn=11))
        assert desk.see(None) is not None, "a record that was created again"

    def test_a_tombstone_whose_delete_is_compacted_away_is_one(self) -> None:
        desk = Desk("debezium")
        desk.told(envelope("c", ADA, lsn=9))
        event = desk.told(None)
        assert event.deletes and event.key == "1"
        created = desk.told(envelope("c", ADA, lsn=10))
        assert event.version.older_than(created.version) and desk_version(
            "seq:0:0000000000000009.0001"
        ).older_than(event.version)

    def test_a_row_read_from_the_table_is_later_than_the_log_it_was_read_at(self) -> None:
        desk = Desk("debezium")
        change, read = desk.told(envelope("u", ADA, lsn=9)), desk.told(envelope("r", ADA, lsn=9))
        again, later = desk.told(envelope("r", ADA, lsn=9)), desk.told(envelope("u", ADA, lsn=10))
        versions = [event.version for event in (change, read, again, later)]
        assert all(one.older_than(other) for one, other in pairwise(versions))

    def test_other_databases_are_ordered_as_their_topic_is(self) -> None:
        value = envelope("c", ADA, lsn=None) | {"source": {"connector": "mysql", "pos": 3}}
        assert Desk("debezium").told(value, offset=18).event_id == "seq:0:0000.0000000000000012.0001/0"

    def test_what_is_no_change_of_a_row(self) -> None:
        desk = Desk("debezium")
        assert desk.see(envelope("m", None)) is None
        assert "emptied" in desk.held(envelope("t", None))
        assert "`op`" in desk.held(envelope("x", ADA))
        assert "`op`" in desk.held(ADA)
        assert "`after`" in desk.held(envelope("u", None))
        assert "lsn" in desk.held(envelope("u", ADA, lsn=-1))


def desk_version(text: str) -> SourceVersion:
    return version_of(text)


class TestRows:
    def test_of_kafka_connect_or_of_anybody(self) -> None:
        event = Desk("json").told(ADA, offset=3)
        assert event.values == {"customer_id": "1", "name": "Ada"}
        assert event.event_id == "seq:0:0000.0000000000000003.0001/0"
        wrapped = {"schema": None, "payload": ADA}
        assert Desk("json").told(wrapped).values == event.values

    def test_an_empty_value_is_the_end_of_a_record(self) -> None:
        assert Desk("json").told(None, key=b"C-1").deletes
        assert Desk("json").told(b"null", key=b"C-1").deletes

    def test_a_mark_in_the_row_may_say_so_too(self) -> None:
        """Debezium's ExtractNewRecordState with `delete.tombstone.handling.mode=rewrite`."""
        desk = Desk("json", deleted='has(row.__deleted) && row.__deleted == "true"')
        assert desk.told({**ADA, "__deleted": "true"}).deletes
        assert not desk.told({**ADA, "__deleted": "false"}).deletes and not desk.told(ADA).deletes

    def test_a_json_schema_is_kept_to(self, tmp_path: Path) -> None:
        schema = {
            "type": "object",
            "properties": {"id": {"type": "integer"}, "limit": {"multipleOf": 0.01}},
            "required": ["name"],
        }
        (tmp_path / "row.json").write_text(json.dumps(schema))
        desk = Desk("json", tmp_path, json_schema="row.json")
        desk.told(ADA)
        desk.told({**ADA, "limit": 12.5})
        assert desk.held({**ADA, "id": "x"}).startswith("id does not keep")
        assert desk.held({"id": 1}).startswith("the row does not keep")


EVENT = {
    "specversion": "1.0",
    "id": "a-1",
    "source": "//shop",
    "type": "customer.changed",
    "time": "2026-11-26T10:00:00Z",
    "data": ADA,
}


class TestCloudEvents:
    def test_structured_mode(self) -> None:
        event = Desk("cloudevents").told(EVENT)
        assert event.values == {"customer_id": "1", "name": "Ada"}
        assert event.time_ms == int(datetime(2026, 11, 26, 10, tzinfo=UTC).timestamp() * 1000)

    def test_its_type_may_say_that_a_record_is_gone_or_that_it_is_of_another_kind(self) -> None:
        desk = Desk(
            "cloudevents", only='event.type.startsWith("customer.")', deleted='event.type == "customer.gone"'
        )
        assert desk.told({**EVENT, "type": "customer.gone", "data": None}).deletes
        assert desk.see({**EVENT, "type": "order.changed"}) is None

    @pytest.mark.parametrize("moment", ["1969-12-31T23:59:59Z", None])
    def test_a_time_that_can_be_none_is_kafkas(self, moment: str | None) -> None:
        assert Desk("cloudevents").told({**EVENT, "time": moment}).time_ms == 1_795_000_000_200

    @pytest.mark.parametrize("missing", ["specversion", "id", "source", "type", "data"])
    def test_what_is_missing_is_said(self, missing: str) -> None:
        event = {name: value for name, value in EVENT.items() if name != missing}
        assert missing in Desk("cloudevents").held(event)

    def test_other_data_than_json_is_held(self) -> None:
        assert "data is not JSON" in Desk("cloudevents").held({**EVENT, "data_base64": "AA=="})


class TestKeys:
    @pytest.mark.parametrize(
        ("key", "found"),
        [(b"C-1", "C-1"), (b"007", "007"), (b"1e3", "1e3"), (b'"C-1"', "C-1"), (b'{"id":7}', "7"), (b"12", "12"),
         (b'{"schema":{"type":"int32","optional":false},"payload":7}', "7"),
         (b'{"schema":{"type":"string","optional":false},"payload":"C"}', "C")],
    )  # fmt: skip
    def test_kafkas_key_is_the_records(self, key: bytes, found: str) -> None:
        assert Desk("json").told(ADA, key=key).key == found

    def test_of_several_columns_the_mapping_says_which(self) -> None:
        key = b'{"region":"north","id":7}'
        assert "2 columns" in Desk("json").held(ADA, key=key)
        assert Desk("json", key="id").told(ADA, key=key).key == "7"
        both = {"expression": 'key.region + "-" + string(key.id)'}
        assert Desk("json", key=both).told(ADA, key=key).key == "north-7"

    def test_without_a_key_of_columns_it_is_in_the_row(self) -> None:
        desk = Desk("json", key="id")
        assert desk.told(ADA, key=None).key == "1" and desk.told(ADA, key=b"other").key == "1"
        assert "neither a key" in desk.held(None, key=b"other")

    @pytest.mark.parametrize(
        "key", [None, b"", b"\xff", b'{"id":null}', b'{"id":1.5}', b'{"id":"%s"}' % (b"x" * 600)]
    )
    def test_one_that_is_none_is_held_under_the_records_place(self, key: bytes | None) -> None:
        event = Desk("json").see(ADA, key=key, offset=4)
        assert event is not None and event.original is not None and event.key == "shop.public.customers/0/4"


class TestJson:
    @pytest.mark.parametrize(
        ("text", "why"),
        [(b"{", "not JSON"), (b"\xff", "not JSON"), (b"NaN", "NaN"), (b'{"a":1,"a":2}', "same name twice"),
         (b"1e999999", "digits"), (b"9" * 101, "digits"), (b"[" * 100_000, "nested too deep"),
         (b" " * (VALUE_LENGTH_MAX + 1), "at most"),
         (b"1" * 5000, "digits"), (b"{}x", "not JSON"), (b"", "not JSON")],
    )  # fmt: skip
    def test_what_is_not_read(self, text: bytes, why: str) -> None:
        with pytest.raises(Unmapped, match=why):
            read_json(text)

    def test_numbers_are_read_exactly(self) -> None:
        found = read_json(b'{"a": 0.1, "b": 12345678901234567890123, "c": 1e2}')
        assert (found["a"], found["b"], found["c"]) == (
            Decimal("0.1"),
            12345678901234567890123,
            Decimal("1e2"),
        )

    def test_a_schema_known_by_its_text_does_not_let_through_what_is_not_json(self) -> None:
        reader = ConnectReader()
        whole = json.dumps({"schema": envelope_schema(), "payload": ADA}, separators=(",", ":")).encode()
        payload, schema = reader.read(whole)
        assert payload == ADA and reader.read(whole) == (payload, schema) and schema is not None
        for broken in (whole[:-1], whole + b"}", whole[:-1] + b',"payload":1}', whole[:-1] + b',"more":1}'):
            with pytest.raises(Unmapped):
                reader.read(broken)

    def test_one_that_is_written_otherwise_is_read_as_well(self) -> None:
        reader = ConnectReader()
        for text in (
            b'{"payload":1,"schema":{"type":"int32"}}',
            b'{ "schema" : {"type":"int32"}, "payload" : 1 }',
        ):
            payload, schema = reader.read(text)
            assert payload == 1 and schema is not None
        assert reader.read(b'{"schema":1,"payload":2,"more":3}') == (
            {"schema": 1, "payload": 2, "more": 3},
            None,
        )


def test_a_trial_counts_what_becomes_of_records_and_not_words_in_their_values() -> None:
    desk = Desk("json")
    records = [
        Foreign(TOPIC, 0, n, 1, b"C-1", value)
        for n, value in enumerate((b'{"id":1,"name":"a  held  b"}', b"{"))
    ]
    assert told(desk.mapping, desk.adopted, desk.standing, records[:1])[1] is False
    lines, held = told(desk.mapping, desk.adopted, desk.standing, records)
    assert held and lines[-1].strip() == "1 held, 1 told"


class TestHeld:
    def test_by_the_gate_with_its_bytes_and_why(self) -> None:
        """Whatever came, also where it begins as a value of ours would: another registry may give our ids."""
        contract = REGISTRY.contract("customer")
        for value in (
            b"{",
            REGISTRY.codec.encode(
                100, {"customer_id": "1", "name": "x"} | dict.fromkeys(("email", "phone", "credit_limit"))
            ),
        ):
            event = Desk("json").see(value)
            assert event is not None
            sent = change_record(event, "crm", contract, REGISTRY.codec)
            assert sent.value is not None and sent.value[0] != 0
            found: dict[str, Any] = json.loads(sent.value)
            text = found.get("value") or found["value_base64"]
            assert found["unmapped"] and text and found["offset"] == 0
            bench = Bench()
            record = bench.upsert("crm", "seq:0:01", {"customer_id": "1"})
            record.value, record.headers, record.key = sent.value, list(sent.headers), sent.key
            seen = bench.see(record)
            assert (seen.outcome, bench.values()) == ("unreadable", None)

    def test_under_the_records_own_key_where_it_can_be_told(self) -> None:
        event = Desk("json").see({"id": 1, "name": 5}, key=b"C-7")
        assert event is not None and event.original is not None and event.key == "C-7"

    def test_what_is_too_large_by_reference(self) -> None:
        event = Desk("json").see(b"x" * 600_000)
        assert event is not None and event.original is not None and len(event.original) < 1000
        assert json.loads(event.original)["value_bytes"] == 600_000
