import shutil
from pathlib import Path

import pytest

from tests.cast import site  # noqa: F401
from tests.cli.desk import Commands


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a store with alice in it and the people's token files: made once, copied for each test."""
    path = tmp_path_factory.mktemp("desk")
    Commands(path).fill()
    return path


@pytest.fixture
def run(tmp_path: Path, filled: Path) -> Commands:
    """Run `gateway …` on a store of the test's own."""
    shutil.copytree(filled, tmp_path, dirs_exist_ok=True)
    return Commands(tmp_path)
