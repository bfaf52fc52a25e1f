from tests.cast import site  # noqa: F401
from tests.shipping import plan  # noqa: F401
