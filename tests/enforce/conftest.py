from tests.world import asked, reader, world  # noqa: F401
