"""PostgreSQL sorts and compares texts as SQLite does, whatever its locale, and counts further than 2**31."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

_COUNTED = (("comment", "id"), ("prediction", "id"), ("sample", "seed"))


def upgrade() -> None:
    """Go to this version."""
    _change("C", "BIGINT")


def downgrade() -> None:
    """Go back to the version before."""
    _change("default", "INTEGER")


def _change(collation: str, number: str) -> None:
    if op.get_bind().dialect.name != "postgresql":
        return
    inspector = sa.inspect(op.get_bind())
    for table in sorted(set(inspector.get_table_names()) - {"alembic_version"}):
        texts = {c["name"]: c["type"].length for c in inspector.get_columns(table) if isinstance(c["type"], sa.String)}
        changes = [
            f'ALTER COLUMN "{name}" TYPE VARCHAR{f"({length})" if length else ""} COLLATE "{collation}"'
            for name, length in texts.items()
        ]
        changes += [f'ALTER COLUMN "{name}" TYPE {number}' for of, name in _COUNTED if of == table]
        if changes:
            op.execute(f'ALTER TABLE "{table}" {", ".join(changes)}')
    for table, name in _COUNTED[:2]:
        op.execute(f'ALTER SEQUENCE "{table}_{name}_seq" AS {number}')
