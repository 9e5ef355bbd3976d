"""Which of a facet's categories a model guesses, and whether it is sure enough."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Go to this version."""
    for column in ("guess", "abstained"):
        op.add_column("prediction", sa.Column(column, sa.Boolean(), nullable=False, server_default=sa.false()))


def downgrade() -> None:
    """Go back to the version before."""
    for column in ("abstained", "guess"):
        op.drop_column("prediction", column)
