"""Run by Alembic: the steps that are asked for, on the connection and in the transaction of whoever asks."""

from alembic import context

connection = context.config.attributes["connection"]
context.configure(connection=connection, render_as_batch=connection.dialect.name == "sqlite")
with context.begin_transaction():
    context.run_migrations()
