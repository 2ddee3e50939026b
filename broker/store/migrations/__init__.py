"""How the tables of what people decided came to their shapes, forward and back (Alembic)."""
