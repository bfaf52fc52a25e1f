"""What becomes of a test whose data lies beside the checkout, where nothing lies there."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TRY = "def test_of_foreign_data(shared_data):\n    assert shared_data('some-data').name == 'some-data'\n"


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str | None], tuple[int, str]]:
    """Return what runs a test in a checkout of its own and returns exit code and output."""

    def run(ci: str | None) -> tuple[int, str]:
        monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
        monkeypatch.delenv("CI", raising=False)
        if ci is not None:
            monkeypatch.setenv("CI", ci)
        tests = tmp_path / "checkout" / "tests"
        tests.mkdir(parents=True)
        shutil.copy(ROOT / "tests" / "conftest.py", tests)
        (tests / "test_one.py").write_text(TRY)
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-ra", "-p", "no:cacheprovider", "--rootdir", str(tests), str(tests)],
            cwd=tests,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, " ".join(done.stdout.split())

    return run


@pytest.mark.parametrize("ci", [None, "", "false"])
def test_a_checkout_alone_is_green_and_says_what_it_left_out(
    run: Callable[[str | None], tuple[int, str]], ci: str | None
) -> None:
    code, output = run(ci)

    assert code == 0
    assert "1 skipped" in output
    assert "no test data of others at" in output


def test_continuous_integration_fails_where_the_data_is_not_there(
    run: Callable[[str | None], tuple[int, str]],
) -> None:
    code, output = run("true")

    assert code == 1
    assert "1 failed" in output
    assert "CI is set, so nothing may be skipped" in output


def test_with_the_data_there_the_test_runs(run: Callable[[str | None], tuple[int, str]], tmp_path: Path) -> None:
    (tmp_path / "shared" / "data" / "some-data").mkdir(parents=True)

    code, output = run("true")

    assert (code, "1 passed" in output) == (0, True)
