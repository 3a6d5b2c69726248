"""The table of pastes."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TSVECTOR

revision = "0001"
down_revision = None


def upgrade():
    op.create_table(
        "pastes",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("title", sa.String(100), nullable=False),
        sa.Column("author", sa.String(50), nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column(
            "created", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False
        ),
        sa.Column(
            "words",
            TSVECTOR,
            sa.Computed("to_tsvector('simple', title || ' ' || text)", persisted=True),
        ),
    )
    op.create_index("ix_pastes_created", "pastes", ["created"])
    op.create_index("pastes_words", "pastes", ["words"], postgresql_using="gin")


def downgrade():
    op.drop_table("pastes")
