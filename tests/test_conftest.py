"""What becomes of a test whose data lies beside the checkout, where nothing lies there; and whom coverage looks at."""

import os
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


def test_what_takes_longest_begins_first(tmp_path: Path) -> None:
    (tmp_path / "tests").mkdir()
    for name in ("test_a", "test_compiled"):
        (tmp_path / "tests" / f"{name}.py").write_text("def test_one():\n    pass\n")
    shutil.copy(ROOT / "hatch_build.py", tmp_path)
    shutil.copy(ROOT / "tests" / "conftest.py", tmp_path / "tests")

    done = subprocess.run(
        [sys.executable, "-m", "pytest", *("-p", "no:randomly"), "--collect-only", "-q", "tests"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},  # noqa: TID251 - the same environment, one variable more
        capture_output=True,
        text=True,
        check=False,
    )

    assert [line for line in done.stdout.splitlines() if "::" in line] == [
        "tests/test_compiled.py::test_one",
        "tests/test_a.py::test_one",
    ]


MODULE = """
def own():
    return 1

def untraced():
    return 2

def foreign():
    return 3
"""
OWN = """
import pytest
import module

@pytest.mark.untraced
def test_untraced():
    assert module.untraced() == 2

def test_own():
    assert module.own() == 1
"""
FOREIGN = """
import module

def test_foreign():
    assert module.foreign() == 3
"""


@pytest.mark.parametrize("order", [("core", "service"), ("service", "core")])
def test_coverage_looks_at_the_tests_of_the_pure_packages_alone(tmp_path: Path, order: tuple[str, str]) -> None:
    for name, text in {
        "source/module.py": MODULE,
        "tests/core/test_module.py": OWN,
        "tests/service/test_module.py": FOREIGN,
        "pyproject.toml": """
            [tool.pytest.ini_options]
            addopts = "--strict-markers --import-mode=importlib"
            markers = ["untraced: as here"]
            pythonpath = [".", "source"]
            [tool.coverage.run]
            source = ["source"]
        """,
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    shutil.copy(ROOT / "hatch_build.py", tmp_path)
    shutil.copy(ROOT / "tests" / "conftest.py", tmp_path / "tests")

    done = subprocess.run(
        [sys.executable, "-m", "pytest", *("-p", "no:randomly"), *("--cov", "--cov-report", "term-missing")]
        + [f"tests/{name}" for name in order],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout
    assert "3 passed" in done.stdout
    row = next(line for line in done.stdout.splitlines() if line.startswith("source/module.py"))
    assert row.split()[-2:] == ["6,", "9"]
