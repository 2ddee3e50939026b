"""The two real systems of the demo, and what their users do in them: a CRM on PostgreSQL, and a Tryton ERP.

These are the applications' own interfaces: SQL for the CRM's users, JSON-RPC for the ERP's. Nothing of the broker.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import psycopg
from psycopg import sql

from broker.embedded.postgres import EmbeddedPostgres
from broker.embedded.tryton import ADMIN_USER, EmbeddedTryton
from broker.embedded.tryton_rpc import TrytonSession, decimal

FIRST_NAMES = ("Ada", "Grace", "Alan", "Edsger", "Barbara", "Donald", "Margaret", "Tony", "Radia", "Ken")
LAST_NAMES = (
    "Byron",
    "Hopper",
    "Turing",
    "Dijkstra",
    "Liskov",
    "Knuth",
    "Hamilton",
    "Hoare",
    "Perlman",
    "Thompson",
)
PHONE_KNOWN_OF = 4
"""Of one customer in so many the CRM knows a phone number from the start."""
TABLE = """
CREATE TABLE customers (
    customer_id text PRIMARY KEY, name text NOT NULL, email text, phone text, credit_limit numeric(16, 2))
"""


def customer_id(number: int) -> str:
    """`C-00042`."""
    return f"C-{number:05d}"


class Crm:
    """The CRM: an application database. Its users change rows; they know nothing of anybody else."""

    def __init__(self, postgres: EmbeddedPostgres) -> None:
        self.url = postgres.create_role_and_database("crm", replication=True)
        self.password = postgres.password("crm")
        self._connection = psycopg.connect(self.url, autocommit=True)

    def fill(self, count: int) -> None:
        """A table of customers, as a CRM has it before anybody synchronises anything."""
        self._connection.execute(TABLE)
        # With the whole old row in the log, a change event tells exactly which fields were set.
        self._connection.execute("ALTER TABLE customers REPLICA IDENTITY FULL")
        with self._connection.cursor().copy(
            "COPY customers (customer_id, name, email, phone) FROM STDIN"
        ) as copy:
            for number in range(1, count + 1):
                first, last = FIRST_NAMES[number % 10], LAST_NAMES[number // 10 % 10]
                email = f"{first}.{last}.{number}@example.com".lower()
                phone = None if number % PHONE_KNOWN_OF else f"+44 20 7946 {number:04d}"
                copy.write_row((customer_id(number), f"{first} {last}", email, phone))

    def change(self, key: str, **columns: Any) -> None:
        """A user changes a customer."""
        names = sql.SQL(", ").join(sql.SQL("{} = %s").format(sql.Identifier(name)) for name in columns)
        statement = sql.SQL("UPDATE customers SET {} WHERE customer_id = %s").format(names)
        self._connection.execute(statement, (*columns.values(), key))

    def row(self, key: str) -> dict[str, Any]:
        """A customer as the CRM has it."""
        cursor = self._connection.execute(
            "SELECT name, email, phone, credit_limit FROM customers WHERE customer_id = %s", (key,)
        )
        found = cursor.fetchone()
        return dict(zip(("name", "email", "phone", "credit_limit"), found, strict=True)) if found else {}

    def rows(self) -> dict[str, dict[str, Any]]:
        """Every customer as the CRM has it, by id."""
        cursor = self._connection.execute(
            "SELECT customer_id, name, email, phone, credit_limit FROM customers"
        )
        return {
            row[0]: dict(zip(("name", "email", "phone", "credit_limit"), row[1:], strict=True))
            for row in cursor
        }

    def count(self, condition: str) -> int:
        """Customers of which an SQL condition of ours holds."""
        cursor = self._connection.execute(f"SELECT count(*) FROM customers WHERE {condition}")  # noqa: S608 - ours
        found = cursor.fetchone()
        return int(found[0]) if found else 0

    def rounds(self, numbers: range, width: int) -> None:
        """One statement per round that gives every customer a new phone number; a client of its own."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            for number in numbers:
                connection.execute(
                    "UPDATE customers SET phone = '+44 ' || %s || ' ' || right(customer_id, 5)"
                    " WHERE customer_id <= %s",
                    (f"{number:04d}", customer_id(width)),
                )

    def inbox(self) -> list[dict[str, Any]]:
        """Suggestions that wait for the CRM's users."""
        cursor = self._connection.execute(
            "SELECT id, key, field, current, proposed, note FROM solesource_inbox WHERE kind = 'proposal'"
        )
        return [
            dict(zip(("id", "key", "field", "current", "proposed", "note"), row, strict=True))
            for row in cursor
        ]

    def close(self) -> None:
        """Disconnect."""
        self._connection.close()


class Erp:
    """The ERP: a real Tryton. One of its users changes parties through its own interface."""

    def __init__(self, tryton: EmbeddedTryton) -> None:
        self.tryton = tryton
        self._session = TrytonSession(tryton.url, tryton.database, ADMIN_USER, tryton.password_of(ADMIN_USER))
        (user,) = self._call("res.user", "read", [self._session.user_id], ["company"])
        self._context = {"company": user["company"]}

    def _call(self, model: str, method: str, *parameters: Any) -> Any:
        return self._session.call(f"model.{model}.{method}", *parameters, getattr(self, "_context", {}))

    def create(self, parties: Sequence[tuple[str, str, Decimal]]) -> None:
        """Parties (code, name, credit limit) that the ERP's users had made before."""
        self._call(
            "party.party",
            "create",
            [
                {"code": code, "name": name, "credit_limit_amount": decimal(str(limit))}
                for code, name, limit in parties
            ],
        )

    def _find(self, key: str) -> int:
        (found,) = self._call("party.party", "search", [["code", "=", key]], 0, None, None)
        return int(found)

    def change(self, key: str, *, name: str | None = None, credit_limit: Decimal | None = None) -> None:
        """A user changes a party, in one write."""
        values: dict[str, Any] = {}
        if name is not None:
            values["name"] = name
        if credit_limit is not None:
            values["credit_limit_amount"] = decimal(str(credit_limit))
        self._call("party.party", "write", [self._find(key)], values)

    def change_email(self, key: str, value: str) -> None:
        """A user changes a party's e-mail address."""
        wanted = [["party.code", "=", key], ["type", "=", "email"]]
        (mechanism,) = self._call("party.contact_mechanism", "search", wanted, 0, None, None)
        self._call("party.contact_mechanism", "write", [mechanism], {"value": value})

    def row(self, key: str) -> dict[str, Any]:
        """A party as the ERP has it."""
        (party,) = self._call(
            "party.party", "read", [self._find(key)], ["name", "email", "phone", "credit_limit_amount"]
        )
        return _as_customer(party)

    def rows(self) -> dict[str, dict[str, Any]]:
        """Every party with a customer's code as the ERP has it, by code."""
        fields = ["code", "name", "email", "phone", "credit_limit_amount"]
        found = self._call("party.party", "search_read", [["code", "like", "C-%"]], 0, None, None, fields)
        return {party["code"]: _as_customer(party) for party in found}

    def count(self) -> int:
        """Parties with a customer's code."""
        return int(self._call("party.party", "search_count", [["code", "like", "C-%"]]))

    def phones(self, ending: str) -> int:
        """Phone numbers that contain a text."""
        wanted = [["type", "=", "phone"], ["value", "like", f"%{ending}%"]]
        return int(self._call("party.contact_mechanism", "search_count", wanted))

    def notes(self, key: str) -> list[str]:
        """Notes on a party."""
        wanted = [["resource", "=", f"party.party,{self._find(key)}"]]
        found = self._call("ir.note", "search", wanted, 0, None, None)
        return [str(note["message"]) for note in self._call("ir.note", "read", found, ["message"])]

    def close(self) -> None:
        """Log out."""
        self._session.close()


def _as_customer(party: dict[str, Any]) -> dict[str, Any]:
    """A party in the words of the customer's contract; Tryton shows a missing phone number as an empty text."""
    return {
        **party,
        "phone": party["phone"] or None,
        "credit_limit": _amount(party["credit_limit_amount"]),
    }


def _amount(value: dict[str, str] | None) -> Decimal | None:
    """A decimal number of Tryton's JSON."""
    return None if value is None else Decimal(value["decimal"])
