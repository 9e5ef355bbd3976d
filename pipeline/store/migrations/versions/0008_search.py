"""An index of the words of threads, which the database keeps up to date by itself."""

from alembic import op

revision = "0008"
down_revision = "0007"

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
            op.execute(f"DROP TABLE {table}_fts_new")
        else:
            op.execute(f"ALTER TABLE {table} DROP COLUMN fts")


def _index(table: str, columns: tuple[str, ...]) -> None:
    """Make FTS5's index, and triggers that keep it.

    New rows are only noted: one by one, they would take FTS5 four times as long as all at once, which `Store.writing` does before
    it commits. Rows that change or go leave the index at once, as long as their old text is known.
    """
    names = ", ".join(columns)
    old = ", ".join(f"old.{column}" for column in columns)
    differs = " OR ".join(f"old.{column} IS NOT new.{column}" for column in columns)
    forget = (
        f"INSERT INTO {table}_fts ({table}_fts, rowid, {names}) SELECT 'delete', old.id, {old} "  # noqa: S608  # names of this file
        f"WHERE NOT EXISTS (SELECT 1 FROM {table}_fts_new WHERE id = old.id);"
    )
    op.execute(
        f'CREATE VIRTUAL TABLE {table}_fts USING fts5({names}, content="{table}", content_rowid="id", '
        "tokenize=\"unicode61 remove_diacritics 0 categories 'L* Nd Nl'\")"
    )
    op.execute(f"INSERT INTO {table}_fts ({table}_fts) VALUES ('rebuild')")  # noqa: S608  # names of this file
    op.execute(f"CREATE TABLE {table}_fts_new (id INTEGER NOT NULL PRIMARY KEY)")
    for event, when, then in (
        ("insert", "AFTER INSERT", f"INSERT INTO {table}_fts_new VALUES (new.id);"),  # noqa: S608
        ("delete", "AFTER DELETE", f"{forget} DELETE FROM {table}_fts_new WHERE id = old.id;"),  # noqa: S608
        ("update", f"AFTER UPDATE OF {names}", f"{forget} INSERT OR IGNORE INTO {table}_fts_new VALUES (old.id);"),  # noqa: S608
    ):
        only = f"WHEN {differs}" if event == "update" else ""
        op.execute(f"CREATE TRIGGER {table}_fts_{event} {when} ON {table} {only} BEGIN {then} END")
