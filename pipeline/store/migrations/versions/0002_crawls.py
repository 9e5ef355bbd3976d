"""What a crawl knows of an issue and a comment besides their texts."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Go to this version. Columns are added in place: a table made anew would take the rows that refer to it along."""
    op.add_column("repository", sa.Column("closed_issues", sa.Integer(), nullable=True))
    op.add_column("issue", sa.Column("comments_complete", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("issue", sa.Column("pull_request", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("comment", sa.Column("updated_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("comment", sa.Column("tracker_id", sa.BigInteger(), nullable=True))
    op.execute("UPDATE issue SET comments_complete = (comment_count IS NOT NULL)")  # so far, a thread came in whole


def downgrade() -> None:
    """Go back to the version before."""
    for table, column in (
        ("comment", "tracker_id"), ("comment", "updated_at"), ("issue", "pull_request"), ("issue", "comments_complete"),
        ("repository", "closed_issues"),
    ):  # fmt: skip
        op.drop_column(table, column)
