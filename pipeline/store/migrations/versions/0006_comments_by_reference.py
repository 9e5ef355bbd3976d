"""Comments by reference: of a data package without texts, the store holds who commented when, and not what."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Go to this version."""
    with op.batch_alter_table("comment", reflect_kwargs={"resolve_fks": False}) as batch:
        batch.alter_column("body", existing_type=sa.String(), nullable=True)


def downgrade() -> None:
    """Go back to the version before."""
    op.execute("UPDATE comment SET body = '' WHERE body IS NULL")
    with op.batch_alter_table("comment", reflect_kwargs={"resolve_fks": False}) as batch:
        batch.alter_column("body", existing_type=sa.String(), nullable=False)
