"""Kafka from the operator's side: topics made, principals let in, the map published. No record passes through here."""
