"""Who is where a field's values come from, in histories of a few changes that a person can follow."""

from __future__ import annotations

from typing import Any

from ownership.inference import LATE_MS, RECENT_MAX, Sent, Traffic, TrafficFold, Writes, digest_of

T0 = 1_795_000_000_000


class History:
    """Changes of records, a second apart, each with the place and the id that its number gives."""

    def __init__(self, values_max: int = 1_000) -> None:
        self.fold = TrafficFold("customer", values_max)
        self.number = 0
        self.time_ms = T0

    def sent(self, system: str, values: dict[str, Any] | None, key: str = "C-1", **more: Any) -> History:
        self.number += 1
        self.time_ms += 1_000
        event = more.pop("event_id", f"e{self.number}")
        happened_ms = more.pop("happened_ms", self.time_ms)
        place = f"changes.{system}.customer/0/{self.number}"
        self.fold.take(Sent(system, key.encode(), self.time_ms, place, event, happened_ms, values, **more))
        return self

    def of(self, system: str, name: str = "name") -> tuple[int, int, int, int]:
        """(changed, first, echoed, unchanged)."""
        writes = self.fold.traffic.fields[name][system]
        return writes.changed, writes.first, writes.echoed, writes.unchanged

    def writes(self, system: str, name: str = "name") -> Writes:
        return self.fold.traffic.fields[name][system]


def test_the_first_value_seen_is_first_and_another_one_is_changed() -> None:
    seen = (
        History()
        .sent("crm", {"name": "Ada"})
        .sent("crm", {"name": "Eve"})
        .sent("crm", {"name": "Bob"}, "C-2")
    )
    assert seen.of("crm") == (1, 2, 0, 0)
    assert (seen.writes("crm").records, seen.writes("crm").last_ms) == (2, T0 + 3_000)
    assert seen.writes("crm").said == 3 and seen.fold.traffic.changes == {"crm": 3}


def test_who_repeats_the_value_in_force_is_no_source_of_it() -> None:
    seen = History().sent("crm", {"name": "Ada"}).sent("erp", {"name": "Ada"}).sent("crm", {"name": "Ada"})
    assert seen.of("erp") == (0, 0, 1, 0) and seen.of("crm") == (0, 1, 0, 1)
    assert (seen.writes("erp").records, seen.writes("erp").last_ms) == (0, 0)


def test_overwriting_what_another_system_changed_is_a_conflict_with_a_place() -> None:
    seen = History().sent("crm", {"name": "Ada"}).sent("erp", {"name": "Eve"})
    assert seen.writes("erp").overwrote == {}, "nobody saw where Ada came from"
    seen.sent("crm", {"name": "Ida"}).sent("crm", {"name": "Ina"}).sent("erp", {"name": "Eva"}).sent(
        "erp", {"name": "Uta"}
    )
    assert seen.writes("crm").overwrote == {"erp": 1} and seen.writes("erp").overwrote == {"crm": 1}
    assert seen.writes("crm").samples == {"erp": "changes.crm.customer/0/3"}
    assert seen.writes("erp").samples == {"crm": "changes.erp.customer/0/5"}


def test_null_comes_from_nobody_unless_something_was_there() -> None:
    seen = History().sent("crm", {"name": None}).sent("erp", {"name": None})
    assert seen.of("crm") == (0, 0, 0, 1) and seen.of("erp") == (0, 0, 0, 1)
    seen.sent("erp", {"name": "Eve"}).sent("crm", {"name": None})
    assert seen.of("erp") == (1, 0, 0, 1) and seen.of("crm") == (1, 0, 0, 1)
    assert seen.writes("crm").overwrote == {"erp": 1}


def test_an_old_value_in_a_full_image_is_no_change_and_named_alone_it_is() -> None:
    seen = History().sent("crm", {"name": "Ada"}, whole=True).sent("erp", {"name": "Eve"})
    seen.sent("crm", {"name": "Ada"}, whole=True)
    assert seen.of("crm") == (0, 1, 0, 1)
    seen.sent("erp", {"name": "Eve"})
    assert seen.of("erp") == (1, 0, 0, 1), "Eve is still in force"
    seen.sent("crm", {"name": "Ada"})
    assert seen.of("crm") == (1, 1, 0, 1)


def late(after_ms: int, *, whole: bool = False) -> tuple[int, int, int, int]:
    """What the ERP says of a CRM's value that has been replaced for so long."""
    seen = History().sent("crm", {"name": "Ada"}).sent("crm", {"name": "Ida"})
    seen.time_ms += after_ms - 1_000
    return seen.sent("erp", {"name": "Ada"}, whole=whole).of("erp")


def test_a_value_that_was_replaced_within_the_hour_is_a_late_echo() -> None:
    assert late(LATE_MS) == (0, 0, 1, 0)
    assert late(LATE_MS + 1) == (1, 0, 0, 0)
    assert late(LATE_MS + 1, whole=True) == (0, 0, 1, 0), "a full image may repeat what is older"


def test_its_own_former_value_is_no_echo() -> None:
    seen = (
        History().sent("crm", {"name": "open"}).sent("crm", {"name": "closed"}).sent("crm", {"name": "open"})
    )
    assert seen.of("crm") == (2, 1, 0, 0)


def test_null_is_nobodys_value_to_echo() -> None:
    seen = History().sent("crm", {"name": "Ada"}).sent("crm", {"name": None}).sent("crm", {"name": "Ida"})
    assert seen.sent("erp", {"name": None}).of("erp") == (1, 0, 0, 0)


def test_only_the_latest_replaced_values_are_remembered() -> None:
    seen = History()
    for number in range(RECENT_MAX + 2):
        seen.sent("crm", {"name": str(number)})
    seen.sent("erp", {"name": "1"}).sent("erp", {"name": "0"})
    assert seen.of("erp") == (1, 0, 1, 0)


def test_who_had_a_value_before_by_its_own_clock_was_only_later_to_tell() -> None:
    seen = History().sent("erp", {"name": "Ada"}, happened_ms=T0)
    seen.sent("erp", {"name": "Eve"}, happened_ms=T0 + 100)
    seen.sent("crm", {"name": "Eve"}, happened_ms=T0 + 99).sent(
        "billing", {"name": "Eve"}, happened_ms=T0 + 100
    )
    assert seen.writes("crm").earlier == {"erp": 1} and seen.writes("billing").earlier == {}


def test_who_first_names_a_record_with_all_that_it_needs_creates_it() -> None:
    seen = History().sent("crm", {"name": "Ada"}, complete=True).sent("erp", {"name": "Ada"}, complete=True)
    seen.sent("erp", {"name": "Eve"}, "C-2").sent("crm", {"name": "Eve"}, "C-2", complete=True)
    assert seen.fold.traffic.created == {"crm": 1}, "C-2 was there before, by what the ERP said of it"


def test_who_deletes_first_counts_and_then_the_record_begins_anew() -> None:
    seen = History().sent("crm", {"name": "Ada"}, complete=True).sent("crm", None).sent("erp", None)
    assert seen.fold.traffic.deleted == {"crm": 1}
    seen.sent("erp", {"name": "Ada"}, complete=True).sent("erp", None)
    assert (seen.fold.traffic.created, seen.fold.traffic.deleted) == (
        {"crm": 1, "erp": 1},
        {"crm": 1, "erp": 1},
    )
    assert seen.of("erp") == (0, 1, 0, 0)


def test_a_change_that_comes_twice_counts_once() -> None:
    seen = History().sent("crm", {"name": "Ada"}, event_id="a").sent("erp", {"name": "Eve"}, event_id="a")
    seen.sent("crm", {"name": "Ada"}, event_id="a")
    assert seen.fold.traffic.sent_again == 1 and seen.of("crm") == (0, 1, 0, 0)
    assert seen.fold.traffic.changes == {"crm": 2, "erp": 1}


def test_what_does_not_fit_is_let_go_of_the_longest_unseen_first_and_counted() -> None:
    seen = History(values_max=4)  # a record and its value are two
    seen.sent("crm", {"name": "Ada"}, "C-1").sent("crm", {"name": "Bob"}, "C-2")
    seen.sent("crm", {"name": "Ada"}, "C-1").sent("crm", {"name": "Eve"}, "C-3")
    assert seen.fold.traffic.let_go == 1 and seen.of("crm") == (0, 3, 0, 1)
    seen.sent("erp", {"name": "Ada"}, "C-1").sent("erp", {"name": "Bob"}, "C-2")
    assert seen.of("erp") == (0, 1, 1, 0), "of C-2 nothing is remembered"
    assert len(History(values_max=1).sent("crm", {"name": "Ada"}).fold.traffic.fields) == 1


def test_records_that_ended_do_not_stay_for_ever() -> None:
    seen = History(values_max=3)
    for number in range(10):
        seen.sent("crm", None, f"C-{number}")
    assert seen.fold.traffic.let_go == 7


def test_only_a_field_that_always_is_the_key_may_be_it() -> None:
    seen = History()
    assert seen.fold.traffic.named_by is None
    seen.sent("crm", {"name": "C-1"}).sent("crm", {}, whole=True, named_by=frozenset({"id", "name"}))
    seen.sent("crm", {}, whole=True, named_by=frozenset({"id"}))
    assert seen.fold.traffic.named_by == {"id"}


def test_what_was_counted_of_other_records_is_taken_in() -> None:
    both, one, other = History(), History(), History()
    for key, mine in (("C-1", one), ("C-2", other)):
        for history in (mine, both):
            history.number, history.time_ms = 0, T0
            history.sent(
                "crm", {"name": "Ada"}, key, whole=True, complete=True, named_by=frozenset({key, "id"})
            )
            history.sent("erp", {"name": "Eve"}, key).sent("crm", {"name": "Ida"}, key)
            history.sent("erp", {"name": "Ida"}, key, happened_ms=T0).sent("erp", None, key)
    whole = Traffic("customer")
    whole.add(Traffic("customer"))
    for history in (one, other):
        history.fold.traffic.unreadable["erp", "bad_key"] += 1
        history.fold.traffic.lacking["erp", "fax"] += 1
        whole.add(history.fold.traffic)
    assert (whole.unreadable, whole.lacking) == ({("erp", "bad_key"): 2}, {("erp", "fax"): 2})
    whole.unreadable.clear()
    whole.lacking.clear()
    assert whole == both.fold.traffic
    assert whole.fields["name"]["crm"].overwrote == {"erp": 2} and whole.named_by == {"id"}


def test_nothing_can_be_read_in_a_digest_and_like_numbers_differ() -> None:
    values = [-1, -2, "1", 1, "", 0, [1], {"a": 1}]
    assert len({digest_of(value) for value in values}) == len(values)
    assert digest_of(None) == 0 and digest_of("Ada") == digest_of("Ada") < 1 << 64
