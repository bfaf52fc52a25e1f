"""How alembic runs the migrations: on the connection that it is given, inside that connection's transaction."""

from alembic import context

from gateway.adapters.schema import METADATA

context.configure(connection=context.config.attributes["connection"], target_metadata=METADATA)
context.run_migrations()
