"""The lane: slots, transactions and the log around the pure gate. Only here is an authoritative topic written."""
