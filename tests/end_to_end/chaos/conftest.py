from tests.cast import site  # noqa: F401
