"""Comments by reference: of a data package without texts, the store holds who commented when, and not what."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Go to this version."""
    _body(nullable=True)


def downgrade() -> None:
    """Go back to the version before."""
    op.execute("UPDATE comment SET body = '' WHERE body IS NULL")
    _body(nullable=False)


def _body(*, nullable: bool) -> None:
    if op.get_bind().dialect.name != "sqlite":
        op.alter_column("comment", "body", existing_type=sa.String(), nullable=nullable)
        return
    # SQLite cannot, and Alembic's own way around writes the constraints in an order that changes from one process to the next.
    op.create_table(
        "comment_of_0006",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("issue_id", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("author", sa.String(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("body", sa.String(), nullable=nullable),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("tracker_id", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_comment")),
        sa.ForeignKeyConstraint(["issue_id"], ["issue.id"], name=op.f("fk_comment_issue_id"), ondelete="CASCADE"),
        sa.UniqueConstraint("issue_id", "position", name=op.f("uq_comment_issue_id_position")),
    )
    op.execute(
        "INSERT INTO comment_of_0006 (id, issue_id, position, author, created_at, body, updated_at, tracker_id) "
        "SELECT id, issue_id, position, author, created_at, body, updated_at, tracker_id FROM comment ORDER BY id"
    )
    op.drop_table("comment")
    op.rename_table("comment_of_0006", "comment")
