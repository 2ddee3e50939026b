"""Change requests, with who agreed to them and what was said."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "change_requests",
        sa.Column("request_id", sa.String(512), primary_key=True),
        sa.Column("title", sa.String(512), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("requester", sa.String(512), nullable=False),
        sa.Column("state", sa.String(512), nullable=False),
        sa.Column("plan", sa.Text, nullable=False),
        sa.Column("plan_hash", sa.String(512), nullable=False),
        sa.Column("asked", sa.Text, nullable=False),
        sa.Column("base_version", sa.BigInteger, nullable=False),
        sa.Column("created_ms", sa.BigInteger, nullable=False),
        sa.Column("state_ms", sa.BigInteger, nullable=False),
        sa.Column("approved_ms", sa.BigInteger),
        sa.Column("force_from_ms", sa.BigInteger),
        sa.Column("map_version", sa.BigInteger),
        sa.Column("revision", sa.BigInteger, nullable=False),
    )
    op.create_index("change_requests_by_state", "change_requests", ["state", "state_ms", "request_id"])
    op.create_table(
        "agreements",
        sa.Column("request_id", sa.String(512), primary_key=True),
        sa.Column("plan_hash", sa.String(512), primary_key=True),
        sa.Column("by", sa.String(512), primary_key=True),
        sa.Column("teams", sa.Text, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "remarks",
        sa.Column("remark_id", sa.String(512), primary_key=True),
        sa.Column("request_id", sa.String(512), nullable=False),
        sa.Column("by", sa.String(512), nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
    )
    op.create_index("remarks_by_request", "remarks", ["request_id", "at_ms"])


def downgrade() -> None:
    """Remove them."""
    for name in ("remarks", "agreements", "change_requests"):
        op.drop_table(name)
