"""Where verdicts meet traffic: ASGI middleware, reverse proxy."""
