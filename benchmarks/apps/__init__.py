"""The compared applications. Each module has `create(world)`, which returns an ASGI application."""
