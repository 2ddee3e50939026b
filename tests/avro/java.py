"""`python -m tests.avro.java` asks the Java Avro library about every pair of shapes, and keeps what it says."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.avro.shapes import lines
from tests.java import compiled

PROGRAM = Path(__file__).parent / "Verdicts.java"
RECORDED = Path(__file__).parent / "verdicts.txt"
WIDTH = 104
AVRO = ("org.apache.avro", "avro", "1.12.0")


def verdicts() -> str:
    """What Java says today: + or - of each pair."""
    with compiled(PROGRAM, AVRO) as classpath:
        command = ["java", "-cp", classpath, "Verdicts"]
        answer = subprocess.run(command, input=lines(), capture_output=True, text=True, check=True)
    return answer.stdout.strip()


def recorded() -> str:
    """What it said when it was asked last."""
    return RECORDED.read_text("utf-8").replace("\n", "")


if __name__ == "__main__":
    said = verdicts()
    RECORDED.write_text("".join(f"{said[at : at + WIDTH]}\n" for at in range(0, len(said), WIDTH)), "utf-8")
