"""A way to load a configuration as an operator writes it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.config import Settings, load
from gateway.core.errors import ConfigError

Load = Callable[..., Settings]
Refusal = Callable[..., list[str]]


@pytest.fixture
def load_text(tmp_path: Path) -> Load:
    """Return a function that loads TOML text as `gateway.toml` of an otherwise empty folder."""

    def function(text: str, environ: dict[str, str] | None = None) -> Settings:
        path = tmp_path / "gateway.toml"
        path.write_text(text)
        return load(path, environ or {})

    return function


@pytest.fixture
def refusal(load_text: Load, tmp_path: Path) -> Refusal:
    """Return a function that loads what cannot work, and returns the lines that say so, without the folder."""

    def function(text: str, environ: dict[str, str] | None = None) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            load_text(text, environ)
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__ or caught.value.__context__ is None
        return str(caught.value).replace(f"{tmp_path}/", "").splitlines()

    return function
