"""Mappings of adopters: what becomes a value of the contract, what does not, and what is refused before it starts."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from connectors.adopt.connect_types import ConnectSchema
from connectors.adopt.errors import Unmapped
from connectors.adopt.fitting import fitting
from connectors.adopt.meanings import meaning_of
from connectors.adopt.position import Standing, parse, text_of
from connectors.adopt.settings import AdoptSettings, Part
from connectors.adopt.source import standings_of
from connectors.sdk.config import checked
from connectors.sdk.errors import ConfigInvalid
from tests.foreign import FIELDS, TOPIC, Desk
from tests.gate_parts import MONEY

ADA = {"id": 1, "name": "Ada"}
MOMENT = datetime(2026, 11, 26, 10, 0, 0, 123456, tzinfo=UTC)


NANOS = {"name": "io.debezium.time.NanoTimestamp", "type": "int64"}
VARIABLE = {"name": "io.debezium.data.VariableScaleDecimal", "type": "struct"}
DECIMAL = {"name": "org.apache.kafka.connect.data.Decimal", "type": "bytes", "parameters": {"scale": "2"}}


def logical(kind: str, name: str) -> dict[str, str]:
    return {"type": kind, "logicalType": name}


class TestFitting:
    @pytest.mark.parametrize(
        ("schema", "value", "found"),
        [
            ("string", "x", "x"),
            (["null", "string"], None, None),
            (["string", "null"], "x", "x"),
            ("int", -(2**31), -(2**31)),
            ("long", 2**63 - 1, 2**63 - 1),
            ("boolean", True, True),
            ("double", 2, 2.0),
            ("double", Decimal("0.1"), 0.1),
            ("float", Decimal("0.1"), 0.1),
            ("float", 0.5, 0.5),
            ("bytes", b"x", b"x"),
            (MONEY, Decimal("99999999999999.99"), Decimal("99999999999999.99")),
            (MONEY, Decimal("1.200"), Decimal("1.200")),
            (MONEY, Decimal("0.0000"), Decimal("0.0000")),
            (MONEY, 5, Decimal(5)),
            (logical("int", "date"), date(2026, 1, 2), date(2026, 1, 2)),
            (logical("long", "time-micros"), time(1, 2, 3, 4), time(1, 2, 3, 4)),
            (logical("long", "timestamp-micros"), MOMENT, MOMENT),
            (logical("long", "local-timestamp-micros"), MOMENT, MOMENT.replace(tzinfo=None)),
            ({"type": "enum", "name": "e", "symbols": ["A", "B"]}, "B", "B"),
            ({"type": "fixed", "name": "f", "size": 2}, b"ab", b"ab"),
            ({"type": "array", "items": "int"}, [1, 2], [1, 2]),
            ({"type": "map", "values": ["null", "int"]}, {"a": 1, "b": None}, {"a": 1, "b": None}),
            (
                {"type": "record", "name": "r", "fields": [{"name": "a", "type": ["null", "int"]}]},
                {},
                {"a": None},
            ),
        ],
    )
    def test_what_fits_stays_what_it_is(self, schema: Any, value: Any, found: Any) -> None:
        fitted = fitting(schema)(value)
        assert fitted == found and type(fitted) is type(found)

    @pytest.mark.parametrize(
        ("schema", "value"),
        [
            ("string", 1), ("string", None), (["null", "string"], 1), ("int", True), ("int", 2**31),
            ("int", Decimal(1)),
            ("int", "1"), ("long", 2**63), ("long", 1.0), ("boolean", 1), ("boolean", "true"), ("double", "1"),
            ("double", True), ("double", 2**53 + 1), ("float", 1e300), ("float", Decimal("0.123456789")),
            ("bytes", "x"),
            (MONEY, Decimal("0.001")), (MONEY, Decimal(10**14)), (MONEY, 1.5), (MONEY, "1"),
            (logical("int", "date"), MOMENT), (logical("int", "date"), 20),
            (logical("long", "timestamp-millis"), MOMENT),
            (logical("long", "timestamp-micros"), 5), (logical("int", "time-millis"), time(0, 0, 0, 1)),
            ({"type": "enum", "name": "e", "symbols": ["A", "B"]}, "C"),
            ({"type": "fixed", "name": "f", "size": 2}, b"abc"),
            ({"type": "array", "items": "int"}, ["x"]), ({"type": "array", "items": "int"}, {}),
            ({"type": "map", "values": "int"}, []), ("null", 0),
            ({"type": "record", "name": "r", "fields": [{"name": "a", "type": "int"}]}, {}),
            ({"type": "record", "name": "r", "fields": [{"name": "a", "type": "int"}]}, {"a": 1, "b": 2}),
        ],
    )  # fmt: skip
    def test_what_does_not_is_never_made_to(self, schema: Any, value: Any) -> None:
        with pytest.raises(Unmapped):
            fitting(schema)(value)


class TestTypes:
    @pytest.mark.parametrize(
        ("schema", "value", "found"),
        [
            ({"name": "io.debezium.time.Date", "type": "int32"}, 20_000, date(2024, 10, 4)),
            ({"name": "org.apache.kafka.connect.data.Time", "type": "int32"}, 3_661_001, time(1, 1, 1, 1000)),
            ({"name": "io.debezium.time.MicroTime", "type": "int64"}, 1, time(0, 0, 0, 1)),
            ({"name": "io.debezium.time.Timestamp", "type": "int64"}, 1_000, datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)),
            (NANOS, -1_000, datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)),
            ({"name": "io.debezium.time.ZonedTimestamp", "type": "string"}, "2026-11-26T11:00:00.123456+01:00", MOMENT),
            (VARIABLE, {"scale": 1, "value": "AQ=="}, Decimal("0.1")),
            (DECIMAL, "/w==", Decimal("-0.01")),
            ({"type": "bytes"}, "AQI=", b"\1\2"),
            ({"type": "array", "items": {"type": "bytes"}}, ["AQ==", None], [b"\1", None]),
            ({"name": "io.debezium.data.Uuid", "type": "string"}, "x", "x"),
            ({"name": "io.debezium.time.Date", "type": "int32"}, None, None),
        ],
    )  # fmt: skip
    def test_that_connect_and_debezium_name(self, schema: dict[str, Any], value: Any, found: Any) -> None:
        assert read_as(schema, value) == found

    @pytest.mark.parametrize(
        ("schema", "value"),
        [
            ({"name": "io.debezium.time.Date", "type": "int32"}, "2024-10-04"),
            ({"name": "io.debezium.time.Date", "type": "int32"}, 10**9),
            ({"name": "io.debezium.time.Date", "type": "int32"}, True),
            (NANOS, 1),
            ({"name": "io.debezium.time.MicroTimestamp", "type": "int64"}, 2**63),
            ({"name": "io.debezium.time.MicroTime", "type": "int64"}, 86_400_000_000),
            ({"name": "io.debezium.time.ZonedTimestamp", "type": "string"}, "2026-11-26T11:00:00"),
            ({"name": "io.debezium.time.ZonedTimestamp", "type": "string"}, "yesterday"),
            ({"name": "io.debezium.time.ZonedTimestamp", "type": "string"}, "0001-01-01T00:00:00+23:00"),
            (VARIABLE, {"scale": 10**9, "value": "AQ=="}),
            (DECIMAL, ""),
            (DECIMAL, "QUJD" * 20),
            ({"name": "org.apache.kafka.connect.data.Decimal", "type": "bytes"}, "AQ=="),
            ({"type": "bytes"}, "no base64!"),
            ({"type": "array", "items": {"type": "bytes"}}, "AQ=="),
        ],
    )  # fmt: skip
    def test_and_what_is_none_of_them(self, schema: dict[str, Any], value: Any) -> None:
        with pytest.raises(Unmapped):
            read_as(schema, value)

    @pytest.mark.parametrize(
        ("meaning", "value", "found"),
        [
            ("text", 7, "7"), ("text", True, "true"), ("text", "x", "x"), ("integer", "-12", -12),
            ("integer", Decimal("3.0"), 3),
            ("decimal", "12.50", Decimal("12.50")), ("decimal", 3, Decimal(3)), ("boolean", 1, True),
            ("boolean", "false", False),
            ("bytes", "AQ==", b"\1"), ("date", "2026-01-02", date(2026, 1, 2)), ("date", 0, date(1970, 1, 1)),
            ("timestamp", "2026-11-26T10:00:00.123456Z", MOMENT),
            ("milliseconds", 0, datetime(1970, 1, 1, tzinfo=UTC)),
            ("text", None, None),
        ],
    )  # fmt: skip
    def test_that_the_mapping_names(self, meaning: str, value: Any, found: Any) -> None:
        read = meaning_of(Part.model_validate({"from": "a", "as": meaning}))
        assert read is not None
        told = read(value)
        assert told == found and type(told) is type(found)

    @pytest.mark.parametrize(
        ("meaning", "value"),
        [
            ("text", 1.5), ("text", []), ("integer", "1.5"), ("integer", "١"), ("integer", ""),
            ("integer", Decimal("1.5")),
            ("integer", True), ("decimal", "x"), ("decimal", "NaN"), ("decimal", "1e999"), ("decimal", 1.5),
            ("boolean", 2),
            ("boolean", "yes"), ("date", "2026-13-01"), ("timestamp", "2026-11-26"), ("timestamp", 5),
        ],
    )  # fmt: skip
    def test_and_what_it_cannot_mean(self, meaning: str, value: Any) -> None:
        read = meaning_of(Part.model_validate({"from": "a", "as": meaning}))
        assert read is not None
        with pytest.raises(Unmapped):
            read(value)


def read_as(schema: dict[str, Any], value: Any) -> Any:
    reading = ConnectSchema({"type": "struct", "fields": [{**schema, "field": "a"}]}).readings.get("a")
    return value if reading is None else reading(value)


class TestMapping:
    def test_a_constant_a_list_of_words_and_an_expression(self) -> None:
        fields = {
            "customer_id": {"from": "id", "as": "text"},
            "name": {"expression": 'row.first + " " + row.last'},
            "email": {"constant": "none@example.com"},
            "phone": {"from": "state", "enum": {"A": "active", "1": "one", "true": "yes"}},
        }
        desk = Desk("json", fields=fields)
        values = desk.told({"id": 1, "first": "Ada", "last": "Lovelace", "state": "A"}).values
        assert values == {
            "customer_id": "1",
            "name": "Ada Lovelace",
            "email": "none@example.com",
            "phone": "active",
        }
        assert desk.told({"id": 1, "first": "A", "last": "L", "state": True}).values["phone"] == "yes"
        assert "phone: a value that `enum`" in desk.held({"id": 1, "first": "A", "last": "L", "state": "X"})
        assert "name: the expression ends with" in desk.held({"id": 1, "first": "A", "state": "A"})

    def test_an_expressions_double_is_no_decimal(self) -> None:
        desk = Desk("json", fields={**FIELDS, "credit_limit": {"expression": "row.limit / 2.0"}})
        assert "credit_limit" in desk.held({**ADA, "limit": 10.5})
        assert "64 bits" in Desk("json", fields={**FIELDS, "name": {"expression": "string(row.n)"}}).held(
            {"id": 1, "n": 2**70}
        )

    def test_a_column_within_a_column(self) -> None:
        desk = Desk("json", fields={**FIELDS, "email": "contact.email", "phone": "a.b"})
        values = desk.told({**ADA, "contact": {"email": "a@example.com"}, "a.b": "1"}).values
        assert (values["email"], values["phone"]) == ("a@example.com", "1")
        assert desk.told({**ADA, "contact": None, "a.b": "1"}).values["email"] is None

    def test_a_column_that_is_not_there_is_not_set_and_is_said_once(self) -> None:
        with capture_logs() as logs:
            desk = Desk("json", fields={**FIELDS, "email": "mail"})
            for _ in range(3):
                event = desk.told({**ADA, "age": 5})
        assert event.fields == {"customer_id", "name"}
        assert [(line["event"], line["detail"]) for line in logs] == [
            ("adopt.columns_not_mapped", "age"),
            ("adopt.columns_missing", "email"),
        ]
        assert "none of the mapping" in Desk("json", fields={"email": "mail"}).held(ADA)

    def test_a_record_that_is_held_is_said_without_its_values(self) -> None:
        with capture_logs() as logs:
            Desk("json").held({"id": 1, "name": 12345})
        assert logs[0]["event"] == "adopt.unmapped" and "12345" not in str(logs[0]["detail"])


class TestPosition:
    def test_it_is_what_was_written(self) -> None:
        standing = Standing("t", 2, "abc", {0: 5, 1: 7}, 1, 3, {0: 6}, {0: 99})
        assert parse(text_of({"customer": standing})) == {"customer": standing}

    def test_a_topic_that_grows_is_read_to_its_end_first(self) -> None:
        desk = Desk("json")
        desk.told(ADA, offset=100)
        desk.standing.grow({0, 1, 2}, {0: 103, 1: 0})
        before = desk.told(ADA, offset=102)
        assert not desk.standing.drained({0: 102}) and desk.standing.drained({0: 103, 1: 0})
        desk.standing.begin_generation({0, 1, 2})
        after = desk.told(ADA, partition=2)
        assert before.version.older_than(after.version), "the same key, now in another partition at offset 0"
        assert desk.standing.next == {0: 103, 1: 0, 2: 1} and desk.standing.ends == {}

    def test_one_that_was_empty_or_read_grows_at_once(self) -> None:
        standing = Standing("t", 1, "", {0: 5})
        standing.grow({0, 1}, {0: 5})
        assert (standing.generation, standing.next, standing.ends) == (1, {0: 5, 1: 0}, {})

    def test_a_mapping_that_was_changed_has_a_higher_number(self) -> None:
        mapping = Desk("json").mapping
        stored = {"customer": Standing(TOPIC, 1, mapping.digest(), {0: 5})}
        assert standings_of({"customer": mapping}, stored)["customer"].next == {0: 5}
        changed = Desk("json", fields={**FIELDS, "name": "title"}).mapping
        with pytest.raises(ConfigInvalid, match="mapping: 2"):
            standings_of({"customer": changed}, stored)
        raised = Desk("json", mapping=2, fields={**FIELDS, "name": "title"})
        found = standings_of({"customer": raised.mapping}, stored)["customer"]
        assert (found.mapping, found.digest, found.next) == (2, raised.mapping.digest(), {0: 5})
        with pytest.raises(ConfigInvalid):
            standings_of({"customer": mapping}, {"customer": found})

    def test_mapped_anew_the_same_change_is_a_later_one(self) -> None:
        first, second = Desk("json").told(ADA, offset=9), Desk("json", mapping=2).told(ADA, offset=9)
        third = Desk("json").told(ADA, offset=10)
        assert first.version.older_than(second.version) and second.version.older_than(third.version)

    def test_another_topic_begins_anew_and_so_does_one_that_was_made_again(self) -> None:
        for mapping, stored in (
            (Desk("json").mapping, Standing("other", 5, "x", {0: 5})),
            (Desk("json", incarnation=1).mapping, Standing(TOPIC, 5, "x", {0: 5})),
        ):
            found = standings_of({"customer": mapping}, {"customer": stored})["customer"]
            assert (found.next, found.mapping, found.incarnation) == ({}, 1, mapping.incarnation)
        desk = Desk("json", incarnation=1)
        desk.standing.incarnation = 1
        assert desk.told(ADA).event_id.startswith("seq:1:")


class TestConfiguration:
    @pytest.mark.parametrize(
        ("mapping", "why"),
        [
            ({"fields": {"nobody": "x"}}, "not in the contract: nobody"),
            ({"fields": {"name": {"from": "a", "constant": 1}}}, "one of from, constant and expression"),
            ({"fields": {"name": {"as": "text"}}}, "one of from, constant and expression"),
            ({"fields": {"name": {"from": "a", "scale": 2}}}, "scale belongs to"),
            ({"fields": {"name": {"from": "a", "as": "money"}}}, "objects.customer.fields.name.as"),
            ({"fields": {"name": {"expression": "row."}}}, "objects.customer.fields.name: not an expression"),
            ({"fields": {"name": {"expression": "rows.a"}}}, "rows is not known"),
            ({"only": "f("}, "objects.customer.only: not an expression"),
            ({"mapping": 0}, "objects.customer.mapping"),
            ({"json_schema": "nowhere.json"}, "not a JSON Schema"),
        ],
    )
    def test_what_cannot_work_is_said_before_it_starts(self, mapping: dict[str, Any], why: str) -> None:
        with pytest.raises(ConfigInvalid, match=why):
            Desk("json", **mapping)

    def test_a_schema_that_is_none(self, tmp_path: Path) -> None:
        (tmp_path / "row.json").write_text('{"type": "no type"}')
        with pytest.raises(ConfigInvalid, match="not a JSON Schema"):
            Desk("json", tmp_path, json_schema="row.json")

    @pytest.mark.parametrize(
        "settings",
        [
            {"username": "a"},
            {
                "username": "a",
                "password": {"env": "P"},
                "mechanism": "PLAIN",
                "bootstrap": "kafka.example.com:9092",
            },
        ],
    )
    def test_passwords_stay_secret(self, settings: dict[str, Any]) -> None:
        with pytest.raises(ConfigInvalid):
            checked(AdoptSettings, {"bootstrap": "127.0.0.1:9092", **settings}, "settings")

    def test_what_a_client_is_given(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("P", "geheim")
        settings = checked(
            AdoptSettings,
            {"bootstrap": "k:9092", "username": "a", "password": {"env": "P"}, "tls": True},
            "settings",
        )
        options = settings.options(Path())
        assert options["security_protocol"] == "SASL_SSL" and options["sasl_plain_password"] == "geheim"
        assert (
            checked(AdoptSettings, {"bootstrap": "k:9092"}, "s").options(Path())["security_protocol"]
            == "PLAINTEXT"
        )
