import inspect

from gateway.adapters.service_tokens import ServiceTokens
from gateway.api.services import TokenBook


def test_the_tokens_of_the_store_are_a_token_book() -> None:
    for name in ("check", "note_unmasked"):
        asked = inspect.signature(getattr(TokenBook, name)).parameters
        assert list(inspect.signature(getattr(ServiceTokens, name)).parameters) == list(asked)
