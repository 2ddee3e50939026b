"""What may be waived is what lint and the production gate really ask for, and each has words."""

from __future__ import annotations

import ast
from pathlib import Path

from ownership import advice
from ownership.going_live import Need
from ownership.waivable import OF_CONNECTIONS, OF_OBJECTS, waived_words


def test_every_warning_about_an_object_can_be_waived_and_nothing_else() -> None:
    given = {
        f"map.{call.args[0].value}"
        for call in ast.walk(ast.parse(Path(advice.__file__).read_text()))
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr == "advice"
        and isinstance(call.func.value, ast.Name)
        and call.func.value.id == "located"
        and isinstance(call.args[0], ast.Constant)
    }
    assert len(given) > 10 and OF_OBJECTS.keys() == given


def test_every_need_of_a_connection_can_be_waived() -> None:
    assert OF_CONNECTIONS.keys() == {need.value for need in Need}


def test_a_waiver_of_what_is_asked_for_no_more_is_still_told() -> None:
    assert waived_words("live.no_certificate") == "no SLA certificate"
    assert waived_words("map.no_promise") == "no promise to a system that reads it"
    assert waived_words("map.of_long_ago") == "map.of_long_ago"
