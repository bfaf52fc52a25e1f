import pytest

from gateway.adapters.backend import Bounds, backend_of
from gateway.core.errors import ConfigError


def test_a_url_says_what_the_store_lies_in(tmp_path) -> None:
    backend = backend_of(f"sqlite:///{tmp_path}/gateway.db", Bounds(1, 2))
    assert backend.name == f"{tmp_path}/gateway.db"


@pytest.mark.parametrize("url", ["", "mysql://gateway:hunter2@db/gateway", "sqlite://", "hunter2"])
def test_a_url_that_names_no_store_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ConfigError, match="store url") as refused:
        backend_of(url, Bounds(1, 2))
    assert "hunter2" not in str(refused.value).replace("`hunter2:…`", "")
