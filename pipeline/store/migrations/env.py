"""Alembic's entry: runs the migrations on the connection that the store gives."""

from alembic import context

from pipeline.store.schema import Base, in_model

context.configure(
    connection=context.config.attributes["connection"], target_metadata=Base.metadata, include_name=in_model, render_as_batch=True
)
with context.begin_transaction():
    context.run_migrations()
