"""Waivers, sign-offs of reviews, proofs of connectors and connections, and what teams are told."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "waivers",
        sa.Column("waiver_id", sa.String(512), primary_key=True),
        sa.Column("code", sa.String(512), nullable=False),
        sa.Column("subject", sa.String(512), nullable=False),
        sa.Column("owner", sa.String(512), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("by", sa.String(512), nullable=False),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("expires_ms", sa.BigInteger, nullable=False),
        sa.Column("ended_ms", sa.BigInteger),
        sa.Column("revision", sa.BigInteger, nullable=False),
    )
    op.create_index("waivers_by_subject", "waivers", ["subject", "code"])
    op.create_table(
        "sign_offs",
        sa.Column("object", sa.String(512), primary_key=True),
        sa.Column("at_ms", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("by", sa.String(512), nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("map_version", sa.BigInteger, nullable=False),
        sa.Column("pack_sha256", sa.String(512), nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "proofs",
        sa.Column("proof_id", sa.String(512), primary_key=True),
        sa.Column("kind", sa.String(512), nullable=False),
        sa.Column("subject", sa.String(512), nullable=False),
        sa.Column("reference", sa.Text, nullable=False),
        sa.Column("passed", sa.Boolean, nullable=False),
        sa.Column("by", sa.String(512), nullable=False),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("expires_ms", sa.BigInteger, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
    )
    op.create_index("proofs_by_subject", "proofs", ["kind", "subject", "at_ms"])
    op.create_table(
        "notices",
        sa.Column("notice_id", sa.String(512), primary_key=True),
        sa.Column("whom", sa.String(512), nullable=False),
        sa.Column("subject", sa.String(512), nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
    )
    op.create_index("notices_by_whom", "notices", ["whom", "at_ms"])


def downgrade() -> None:
    """Remove them."""
    for name in ("notices", "proofs", "sign_offs", "waivers"):
        op.drop_table(name)
