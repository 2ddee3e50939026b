"""Whatever people decide is in the audit, and whatever is done beside it is found."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import text

from broker.store.audit import Actor, RowMovedError, anchor_missing, deciding
from broker.store.audit_check import Verified, verify
from broker.store.engine import Connection, Engine, reading, writing
from broker.store.governed import ChangeRequest, Notice, Proof, Waiver
from broker.store.signing import (
    AnchorsError,
    AuditKeyError,
    Signer,
    make_key,
    public_path,
    read_anchors,
    read_public,
    read_signer,
)

TAMPERINGS = 200


@pytest.fixture
def signer(tmp_path: Path) -> Signer:
    return read_signer(tmp_path / "key.pem", tmp_path / "anchors.jsonl")


def checked(store: Engine, signer: Signer) -> Verified:
    key = read_public(public_path(signer.anchors.parent / "key.pem"))
    with reading(store) as connection:
        return verify(connection, [key], read_anchors(signer.anchors))


def waiver(number: int) -> Waiver:
    return Waiver(
        waiver_id=f"w-{number}",
        code="live.no_certificate",
        subject="customer crm -> erp",
        owner="sales",
        reason=f"reason {number}",
        by="ana",
        at_ms=number,
        expires_ms=number + 1000,
    )


def history(store: Engine, signer: Signer) -> None:
    """Thirty steps: rows of three tables, some of them changed later."""
    for number in range(30):
        with deciding(store, signer, Actor("ana", "cli", 1_000 + number), "some.step") as session:
            session.add(waiver(number))
            session.add(Notice(notice_id=f"n-{number}", whom="sales", subject="s", text="t", at_ms=number))
            if number % 3 == 0:
                session.add(
                    Proof(
                        proof_id=f"p-{number}", kind="conformance", subject="crm", reference="r", passed=True,
                        by="ana", at_ms=number, expires_ms=9,
                    )
                )  # fmt: skip
            if number > 5:
                changed = session.get(Waiver, f"w-{number - 5}")
                assert changed is not None
                changed.ended_ms = number


def test_every_row_has_its_entry(store: Engine, signer: Signer) -> None:
    history(store, signer)
    found = checked(store, signer)
    assert found.found == ()
    assert (found.rows, found.entries, found.signatures, found.anchors) == (70, 94, 30, 30)


def test_nothing_decided_is_no_entry(store: Engine, signer: Signer) -> None:
    with deciding(store, signer, Actor("ana", "cli", 1), "nothing"):
        pass
    assert checked(store, signer) == Verified(0, 0, 0, 0, ())


def test_what_fails_leaves_nothing(store: Engine, signer: Signer) -> None:
    def fail() -> None:
        with deciding(store, signer, Actor("ana", "cli", 1), "x") as session:
            session.add(waiver(1))
            session.flush()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert checked(store, signer) == Verified(0, 0, 0, 0, ())


def test_whoever_changes_an_older_row_is_refused(store: Engine, signer: Signer) -> None:
    history(store, signer)

    def late() -> None:
        with deciding(store, signer, Actor("bo", "cli", 1), "late") as session:
            row = session.get(Waiver, "w-1")
            assert row is not None
            moved = text("UPDATE waivers SET revision = revision + 1 WHERE waiver_id = 'w-1'")
            session.connection().execute(moved)
            row.reason = "mine"

    with pytest.raises(RowMovedError):
        late()
    assert checked(store, signer).found == ()


def test_a_signature_that_was_not_kept_outside_is_kept_later(store: Engine, signer: Signer) -> None:
    history(store, signer)
    lines = signer.anchors.read_text().splitlines(keepends=True)
    signer.anchors.write_text("".join(lines[:-1]))
    assert [one.code for one in checked(store, signer).found] == ["audit.anchors_behind"]
    assert anchor_missing(store, signer) == 1
    assert checked(store, signer).found == ()


def test_nothing_is_written_that_cannot_be_signed_outside(store: Engine, tmp_path: Path) -> None:
    signer = read_signer(tmp_path / "key.pem", tmp_path / "key.pem" / "anchors")
    with pytest.raises(AnchorsError), deciding(store, signer, Actor("ana", "cli", 1), "x") as session:
        session.add(waiver(1))
    with reading(store) as connection:
        assert connection.scalar(text("SELECT count(*) FROM waivers")) == 0


def test_keys(tmp_path: Path) -> None:
    path = tmp_path / "audit" / "key.pem"
    make_key(path)
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(AuditKeyError, match="already"):
        make_key(path)
    path.write_text("no key")
    with pytest.raises(AuditKeyError, match="cannot be read"):
        read_signer(path, tmp_path / "a")
    with pytest.raises(AuditKeyError):
        read_public(path)
    signer = read_signer(tmp_path / "other.pem", tmp_path / "a")
    signer.anchors.write_text("{}\n")
    with pytest.raises(AnchorsError, match="a:1"):
        list(read_anchors(signer.anchors))


def test_several_keys_and_files_of_signatures(store: Engine, tmp_path: Path) -> None:
    """A command on one machine and the console on another: each has its key and its file."""
    signers = [read_signer(tmp_path / name / "key.pem", tmp_path / name / "anchors") for name in ("a", "b")]
    for number in range(6):
        with deciding(store, signers[number % 2], Actor("ana", "cli", number), "x") as session:
            session.add(waiver(number))
    keys = [read_public(public_path(tmp_path / name / "key.pem")) for name in ("a", "b")]
    heads = [head for signer in signers for head in read_anchors(signer.anchors)]
    with reading(store) as connection:
        assert verify(connection, keys, heads).found == ()
        assert {one.code for one in verify(connection, keys[:1], heads).found} == {
            "audit.signature",
            "audit.anchor",
        }


Tamper = Callable[[Connection, random.Random], str]
LAST = "(SELECT max(sequence) FROM audit)"


def edit_entry(connection: Connection, chance: random.Random) -> str:
    column = chance.choice(["by", "via", "action", "subject", "key", "after"])
    number = chance.randint(1, 94)
    connection.execute(
        text(f'UPDATE audit SET "{column}" = "{column}" || :x WHERE sequence = {number}'), {"x": "."}
    )
    return f"{column} of entry {number}"


def edit_moment(connection: Connection, chance: random.Random) -> str:
    number = chance.randint(1, 94)
    connection.execute(text(f"UPDATE audit SET at_ms = at_ms - 1 WHERE sequence = {number}"))
    return f"moment of entry {number}"


def delete_entry(connection: Connection, chance: random.Random) -> str:
    number = chance.randint(1, 94)
    connection.execute(text(f"DELETE FROM audit WHERE sequence = {number}"))
    return f"entry {number} deleted"


def cut_off(connection: Connection, chance: random.Random) -> str:
    """The end with everything that tells of it inside the database, rows as well."""
    number = chance.randint(60, 93)
    connection.execute(text(f"DELETE FROM audit WHERE sequence > {number}"))
    connection.execute(text(f"DELETE FROM audit_checkpoints WHERE sequence > {number}"))
    return f"cut off after {number}"


def insert_entry(connection: Connection, chance: random.Random) -> str:
    number = chance.randint(1, 94)
    connection.execute(
        text(
            'INSERT INTO audit (sequence, at_ms, "by", via, action, subject, "key", after, previous, digest) '
            f'SELECT 95, at_ms, "by", via, action, subject, "key", after, previous, digest FROM audit '
            f"WHERE sequence = {number}"
        )
    )
    return f"entry {number} again"


def swap_entries(connection: Connection, chance: random.Random) -> str:
    number = chance.randint(1, 93)
    for before, after in ((number, -1), (number + 1, number), (-1, number + 1)):
        connection.execute(text(f"UPDATE audit SET sequence = {after} WHERE sequence = {before}"))
    return f"entries {number} and {number + 1} swapped"


def edit_row(connection: Connection, chance: random.Random) -> str:
    number = chance.randint(0, 29)
    column = chance.choice(["reason", "owner", "code", "subject"])
    connection.execute(text(f"UPDATE waivers SET {column} = 'x' WHERE waiver_id = 'w-{number}'"))
    return f"{column} of waiver {number}"


def extend_waiver(connection: Connection, chance: random.Random) -> str:
    number = chance.randint(0, 29)
    connection.execute(text(f"UPDATE waivers SET expires_ms = expires_ms + 1 WHERE waiver_id = 'w-{number}'"))
    return f"waiver {number} lasts longer"


def delete_row(connection: Connection, chance: random.Random) -> str:
    number = chance.randint(0, 29)
    connection.execute(text(f"DELETE FROM notices WHERE notice_id = 'n-{number}'"))
    return f"notice {number} deleted"


def insert_row(connection: Connection, chance: random.Random) -> str:
    number = chance.randint(100, 999)
    connection.execute(
        text(
            "INSERT INTO notices (notice_id, whom, subject, text, at_ms, revision) "
            f"VALUES ('n-{number}', 'sales', 's', 't', 1, 1)"
        )
    )
    return f"notice {number} put in"


def turn_proof(connection: Connection, chance: random.Random) -> str:
    number = 3 * chance.randint(0, 9)
    connection.execute(text(f"UPDATE proofs SET passed = NOT passed WHERE proof_id = 'p-{number}'"))
    return f"proof {number} turned over"


def edit_signature(connection: Connection, chance: random.Random) -> str:
    numbers = connection.execute(text("SELECT sequence FROM audit_checkpoints")).scalars().all()
    number = chance.choice(sorted(numbers))
    connection.execute(
        text("UPDATE audit_checkpoints SET signature = :s WHERE sequence = :n"),
        {"s": chance.randbytes(64), "n": number},
    )
    return f"signature {number}"


WAYS: list[Tamper] = [
    edit_entry, edit_moment, delete_entry, cut_off, insert_entry, swap_entries, edit_row, extend_waiver, delete_row,
    insert_row, turn_proof, edit_signature,
]  # fmt: skip


def test_two_hundred_tamperings_are_all_found(store: Engine, signer: Signer, tmp_path: Path) -> None:
    history(store, signer)
    key = read_public(public_path(tmp_path / "key.pem"))
    anchors = list(read_anchors(signer.anchors))
    chance, missed, ways = random.Random(7), [], set()
    for number in range(TAMPERINGS):
        way = WAYS[number % len(WAYS)]
        with store.connect() as connection:  # rolled back when it is closed
            what = way(connection, chance)
            if not verify(connection, [key], anchors).found:
                missed.append(what)
            ways.add(way.__name__)
    assert missed == []
    assert len(ways) == len(WAYS)
    assert checked(store, signer).found == ()


def test_a_chain_made_anew_with_another_key_is_found(store: Engine, signer: Signer, tmp_path: Path) -> None:
    """Whoever holds the database and not the key can compute every digest again, and sign with a key of their own."""
    history(store, signer)
    with writing(store) as connection:
        for name in ("audit", "audit_checkpoints", "waivers", "notices", "proofs"):
            connection.execute(text(f"DELETE FROM {name}"))
    forger = Signer(Ed25519PrivateKey.generate(), tmp_path / "forged.jsonl")
    history(store, forger)
    codes = {one.code for one in checked(store, signer).found}
    assert "audit.signature" in codes


def test_a_request_counts_its_revisions(store: Engine, signer: Signer) -> None:
    with deciding(store, signer, Actor("ana", "cli", 1), "request.draft") as session:
        session.add(
            ChangeRequest(
                request_id="cr-1", title="t", reason="r", requester="ana", state="draft", plan="{}", plan_hash="h",
                asked="",
                base_version=1, created_ms=1, state_ms=1,
            )
        )  # fmt: skip
    with deciding(store, signer, Actor("ana", "cli", 2), "request.propose") as session:
        row = session.get(ChangeRequest, "cr-1")
        assert row is not None
        assert row.revision == 1
        row.state = "proposed"
        session.flush()
        assert row.revision == 2
    assert checked(store, signer).found == ()
