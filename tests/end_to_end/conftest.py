from tests.cast import site  # noqa: F401
from tests.end_to_end.story import addresses, environment, folder  # noqa: F401
