"""What a machine had suggested to an annotator, and what annotators remark of an issue besides its labels."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Go to this version."""
    op.add_column("label", sa.Column("suggested", sa.String(), nullable=True))
    op.create_table(
        "remark",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("issue_id", sa.Integer(), nullable=False),
        sa.Column("annotator", sa.String(), nullable=False),
        sa.Column("round", sa.String(), nullable=False),
        sa.Column("discuss", sa.Boolean(), nullable=False),
        sa.Column("slow", sa.Boolean(), nullable=False),
        sa.Column("translated", sa.String(), nullable=False),
        sa.Column("note", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["issue_id"], ["issue.id"], name="fk_remark_issue_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_remark"),
        sa.UniqueConstraint("issue_id", "annotator", "round", name="uq_remark_issue_id_annotator_round"),
    )


def downgrade() -> None:
    """Go back to the version before."""
    op.drop_table("remark")
    op.drop_column("label", "suggested")
