"""An index of the words of threads, which the database keeps up to date by itself."""

from alembic import op

revision = "0007"
down_revision = "0006"

_INDEXED = {"issue": ("title", "body"), "comment": ("body",)}

# PostgreSQL takes `torch.cuda` for the name of a host and `<b>` for mark-up: such characters are spaces here, as in FTS5. Of a
# text, the first 200,000 characters are indexed, since more can be too much for it; GitHub's have 65,536 at most. A text of its
# own keeps phrases from running from the title into the body.
_WORDS = "to_tsvector('simple', translate(left(coalesce({}, ''), 200000), '-./@_&<~+', '         '))"
_COLUMNS = {
    "issue": f"setweight({_WORDS.format('title')}, 'A') || '|\\:1'::tsvector || setweight({_WORDS.format('body')}, 'B')",
    "comment": _WORDS.format("body"),
}


def upgrade() -> None:
    """Go to this version."""
    sqlite = op.get_bind().dialect.name == "sqlite"
    for table, columns in _INDEXED.items():
        if sqlite:
            _index(table, columns)
        else:
            op.execute(f"ALTER TABLE {table} ADD COLUMN fts tsvector GENERATED ALWAYS AS ({_COLUMNS[table]}) STORED")
            op.execute(f"CREATE INDEX ix_{table}_fts ON {table} USING gin (fts)")


def downgrade() -> None:
    """Go back to the version before."""
    sqlite = op.get_bind().dialect.name == "sqlite"
    for table in _INDEXED:
        if sqlite:
            for event in ("insert", "delete", "update"):
                op.execute(f"DROP TRIGGER {table}_fts_{event}")
            op.execute(f"DROP TABLE {table}_fts")
        else:
            op.execute(f"ALTER TABLE {table} DROP COLUMN fts")


def _index(table: str, columns: tuple[str, ...]) -> None:
    index, names = f"{table}_fts", ", ".join(columns)
    old, new = (", ".join(f"{row}.{column}" for column in columns) for row in ("old", "new"))
    forget = f"INSERT INTO {index} ({index}, rowid, {names}) VALUES ('delete', old.id, {old});"  # noqa: S608  # names of this file
    take = f"INSERT INTO {index} (rowid, {names}) VALUES (new.id, {new});"  # noqa: S608  # names of this file
    differs = " OR ".join(f"old.{column} IS NOT new.{column}" for column in columns)
    op.execute(
        f'CREATE VIRTUAL TABLE {index} USING fts5({names}, content="{table}", content_rowid="id", '
        "tokenize='unicode61 remove_diacritics 0')"
    )
    op.execute(f"INSERT INTO {index} ({index}) VALUES ('rebuild')")  # noqa: S608  # names of this file
    op.execute(f"CREATE TRIGGER {index}_insert AFTER INSERT ON {table} BEGIN {take} END")
    op.execute(f"CREATE TRIGGER {index}_delete AFTER DELETE ON {table} BEGIN {forget} END")
    op.execute(f"CREATE TRIGGER {index}_update AFTER UPDATE OF {names} ON {table} WHEN {differs} BEGIN {forget} {take} END")
