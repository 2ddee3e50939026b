"""What people decided about cases and failed deliveries.

Databases from before there were migrations have these tables; they keep them, and what is in them.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make what is not there."""
    there = set(sa.inspect(op.get_bind()).get_table_names())
    if "decisions" not in there:
        op.create_table(
            "decisions",
            sa.Column("command_id", sa.String(512), primary_key=True),
            sa.Column("case_id", sa.String(512), nullable=False),
            sa.Column("decision", sa.String(512), nullable=False),
            sa.Column("by", sa.String(512), nullable=False),
            sa.Column("note", sa.Text, nullable=False),
            sa.Column("issued_ms", sa.BigInteger, nullable=False),
            sa.Column("delivery", sa.String(512), nullable=False),
        )
        op.create_index("decisions_by_case", "decisions", ["case_id"])
    if "settlements" not in there:
        op.create_table(
            "settlements",
            sa.Column("delivery_id", sa.String(512), primary_key=True),
            sa.Column("by", sa.String(512), nullable=False),
            sa.Column("note", sa.Text, nullable=False),
            sa.Column("settled_ms", sa.BigInteger, nullable=False),
        )


def downgrade() -> None:
    """Remove them."""
    op.drop_table("settlements")
    op.drop_table("decisions")
