"""Which notices were mailed."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "mailed",
        sa.Column("notice_id", sa.String(512), primary_key=True),
        sa.Column("outcome", sa.String(512), nullable=False),
        sa.Column("detail", sa.String(512), nullable=False),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
    )


def downgrade() -> None:
    """Remove it."""
    op.drop_table("mailed")
