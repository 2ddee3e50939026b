"""The flame graph shows flame.txt as it is, and every box stands on its caller."""

from __future__ import annotations

import pytest

from benchmarks import flame


def test_the_drawing_in_the_docs_is_that_of_the_samples() -> None:
    samples = flame.stacks_in(flame.SAMPLES.read_text("utf-8"))
    assert flame.drawn(samples) == flame.DRAWING.read_text("utf-8"), (
        "draw it again: python -m benchmarks.flame"
    )
    assert flame.text_of(samples) == flame.SAMPLES.read_text("utf-8")


def test_lines_of_one_function_are_one_box_and_how_a_program_starts_is_left_out() -> None:
    text = (
        "main (a.py:1);Worker.execute_from_commandline (mode/worker.py:9);judge (broker/lane/judge.py:3) 3\n"
        "main (a.py:1);Worker.execute_from_commandline (mode/worker.py:9);judge (broker/lane/judge.py:7) 1\n"
        "poll (b.py:1);wait (b.py:2) 4\n"
    )
    stacks = flame.stacks_in(text)
    assert stacks == {
        ("Worker.execute_from_commandline (mode/worker.py)", "judge (broker/lane/judge.py)"): 4,
        ("poll (b.py)", "wait (b.py)"): 4,
    }
    assert list(flame.boxes(stacks)) == [
        ("Worker.execute_from_commandline (mode/worker.py)", 0, 0.0, 0.5),
        ("judge (broker/lane/judge.py)", 1, 0.0, 0.5),
        ("poll (b.py)", 0, 0.5, 0.5),
        ("wait (b.py)", 1, 0.5, 0.5),
    ]


def test_what_a_function_calls_is_never_wider_than_itself() -> None:
    found = list(flame.boxes(flame.stacks_in(flame.SAMPLES.read_text("utf-8"))))
    below: list[flame.Box] = []
    for box in found:
        below = below[: box.depth]
        if below:
            assert below[-1].begin <= box.begin
            assert box.begin + box.share <= below[-1].begin + below[-1].share + 1e-9
        below.append(box)
    assert sum(box.share for box in found if box.depth == 0) == pytest.approx(1.0, abs=0.05)
