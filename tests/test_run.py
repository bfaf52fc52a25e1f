"""`./run` makes its environment by itself, once, and says plainly what a machine lacks.

A pretend Python stands in for the real one and writes down what it is asked, so that nothing is downloaded.
"""

import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parent.parent
TOOLS = ("sh", "cat", "cksum", "dirname", "grep", "mkdir", "mv", "rm", "sed", "chmod", "cp")

PYTHON = r"""#!/bin/sh
# Answers the questions that `run` asks of a Python, and notes each on one line of $NOTES.
case "$*" in
*'sys.version_info >= (3, 11)'*) [ "${OLD-}" ] || printf '%s\n' "$0" ;;
*'import ensurepip'*) [ -z "${NO_ENSUREPIP-}" ] ;;
*'%d.%d'*) echo 3.11 ;;
hatch_build.py) [ -z "${NO_COMPILER-}" ] || { echo 'no C compiler' >&2; exit 1; } ;;
*'-m pip wheel'*) printf 'compile %s: pip %s\n' "$GATEWAY_COMPILE" "${*#*--disable-pip-version-check }" >>"$NOTES" ;;
*'-m venv'*)
    for folder; do :; done
    rm -rf "$folder"
    mkdir -p "$folder/bin"
    cp "$0" "$folder/bin/python"
    printf '#!/bin/sh\necho "gateway $*"; echo "in $(pwd)"\n' >"$folder/bin/gateway"
    chmod +x "$folder/bin/gateway"
    echo 'made an environment' >>"$NOTES"
    ;;
*'-m pip --version'* | *'sys.version_info < (3, 11)'*) ;;
*'-m pip install'*)
    printf 'pip %s\n' "${*#*--disable-pip-version-check }" >>"$NOTES"
    [ -z "${INTERRUPTED-}" ] || exit 130
    ;;
*) printf 'python %s\n' "$*" >>"$NOTES" ;;
esac
"""


class Checkout(NamedTuple):
    """A checkout on a machine of its own."""

    folder: Path
    tools: Path
    notes: Path

    def run(self, *arguments: str, cwd: Path | None = None, **environ: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [str(self.folder / "run"), *arguments],
            env={"PATH": str(self.tools), "NOTES": str(self.notes), **environ},
            cwd=cwd,
            capture_output=True,
            text=True,
            check=False,
        )

    def noted(self) -> list[str]:
        """Return what Python was asked since the last time."""
        lines = self.notes.read_text().splitlines() if self.notes.exists() else []
        self.notes.write_text("")
        return lines


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    folder, tools = tmp_path / "a folder" / "gateway", tmp_path / "bin"
    (folder / "requirements").mkdir(parents=True)
    tools.mkdir()
    for name in ("run", "pyproject.toml", *(f"requirements/{lock}.txt" for lock in ("run", "dev", "bench", "build"))):
        shutil.copy(ROOT / name, folder / name)
    for tool in TOOLS:
        found = shutil.which(tool)
        assert found is not None, f"this machine has no {tool}"
        (tools / tool).symlink_to(found)
    (tools / "python3").write_text(PYTHON)
    (tools / "python3").chmod(0o755)
    return Checkout(folder, tools, tmp_path / "notes")


FRESH = [
    "made an environment",
    "pip --require-hashes -r requirements/run.txt -r requirements/build.txt",
    "pip --no-index --no-deps --no-build-isolation --editable .",
]


def test_alone_it_lists_its_verbs_with_an_example_each(checkout: Checkout) -> None:
    done = checkout.run()

    assert done.returncode == 0
    for verb in ("demo", "serve", "test", "lint", "bench", "soak", "wheel", "lock"):
        assert f"\n  {verb} " in done.stdout
        assert f"./run {verb}" in done.stdout
    assert checkout.noted() == []


def test_an_unknown_verb_is_wrong_usage(checkout: Checkout) -> None:
    done = checkout.run("tset")

    assert done.returncode == 2
    assert "run: no verb `tset`" in done.stderr
    assert "usage: ./run VERB" in done.stderr


def test_the_first_call_makes_the_environment_and_the_second_starts_at_once(checkout: Checkout) -> None:
    first = checkout.run("serve", "--port", "0")
    assert checkout.noted() == FRESH
    second = checkout.run("serve", "--port", "0")

    assert checkout.noted() == []
    assert first.stdout == second.stdout
    assert first.stdout.startswith("gateway serve --port 0\n")


def test_serve_stays_in_the_callers_folder_and_tests_run_in_the_checkout(checkout: Checkout, tmp_path: Path) -> None:
    assert f"in {tmp_path}\n" in checkout.run("serve", cwd=tmp_path).stdout
    checkout.noted()

    checkout.run("test", "tests/core", "-k", "some thing", cwd=tmp_path)

    assert checkout.noted()[-1] == "python -m pytest tests/core -k some thing"


def test_a_wider_environment_serves_narrower_verbs(checkout: Checkout) -> None:
    checkout.run("bench")
    assert "pip --require-hashes -r requirements/bench.txt -r requirements/build.txt" in checkout.noted()

    checkout.run("serve")
    checkout.run("soak")

    assert not any(line.startswith("pip") for line in checkout.noted())


def test_a_narrower_environment_is_widened_in_place(checkout: Checkout) -> None:
    checkout.run("serve")
    checkout.noted()

    checkout.run("soak")

    assert checkout.noted()[:1] == ["pip --require-hashes -r requirements/dev.txt -r requirements/build.txt"]


WHEEL = "pip --no-index --no-deps --no-build-isolation --wheel-dir dist ."


def test_a_wheel_is_compiled_where_that_can_be_and_wanted(checkout: Checkout) -> None:
    checkout.run("serve")
    checkout.noted()

    assert checkout.run("wheel").returncode == 0
    assert checkout.noted() == [f"compile 1: {WHEEL}"]
    assert checkout.run("wheel", "--pure").returncode == 0
    assert checkout.noted() == [f"compile 0: {WHEEL}"]


def test_without_a_compiler_the_wheel_is_pure_and_the_reason_is_said(checkout: Checkout) -> None:
    done = checkout.run("wheel", NO_COMPILER="yes")

    assert done.returncode == 0
    assert checkout.noted()[-1] == f"compile 0: {WHEEL}"
    assert "no C compiler\nrun: so the wheel is not compiled" in done.stderr


def test_a_wheel_takes_no_other_word(checkout: Checkout) -> None:
    done = checkout.run("wheel", "--pur")

    assert done.returncode == 2
    assert "run: `wheel` takes --pure or nothing, not `--pur`" in done.stderr


@pytest.mark.parametrize("changed", ["requirements/run.txt", "pyproject.toml"])
def test_a_changed_lock_is_installed(checkout: Checkout, changed: str) -> None:
    checkout.run("serve")
    checkout.noted()
    with (checkout.folder / changed).open("a") as file:
        file.write("# changed\n")

    checkout.run("serve")

    assert checkout.noted() == FRESH[1:]


def test_an_interrupted_installation_begins_again(checkout: Checkout) -> None:
    assert checkout.run("serve", INTERRUPTED="yes").returncode != 0
    checkout.noted()

    done = checkout.run("serve")

    assert done.returncode == 0
    assert checkout.noted() == FRESH


def test_a_moved_checkout_begins_again(checkout: Checkout, tmp_path: Path) -> None:
    checkout.run("serve")
    checkout.noted()
    checkout.folder.rename(tmp_path / "moved")

    checkout._replace(folder=tmp_path / "moved").run("serve")

    assert checkout.noted() == FRESH


def test_an_environment_that_somebody_else_made_is_kept(checkout: Checkout) -> None:
    checkout.run("serve")
    for mark in (".made-at", ".installed"):
        (checkout.folder / ".venv" / mark).unlink()
    checkout.noted()

    checkout.run("serve")

    assert checkout.noted() == FRESH[1:]


def test_without_a_python_it_says_what_to_install(checkout: Checkout) -> None:
    done = checkout.run("test", OLD="yes")

    assert done.returncode == 1
    assert done.stderr == (
        "run: no Python 3.11 or newer on PATH. On Debian and Ubuntu: apt-get install python3 python3-venv\n"
    )


def test_without_ensurepip_it_says_what_to_install(checkout: Checkout) -> None:
    done = checkout.run("test", NO_ENSUREPIP="yes")

    assert done.returncode == 1
    assert done.stderr.endswith("its ensurepip is missing. On Debian and Ubuntu: apt-get install python3.11-venv\n")


def test_uv_installs_where_it_is_there_and_pip_where_it_fails(checkout: Checkout) -> None:
    uv = checkout.tools / "uv"
    uv.write_text('#!/bin/sh\nprintf "uv %s\\n" "$*" >>"$NOTES"\n')
    uv.chmod(0o755)
    checkout.run("serve")
    by_uv = checkout.noted()
    uv.write_text('#!/bin/sh\n[ "$1" = --version ]\n')
    checkout.run("soak")

    python = checkout.folder / ".venv/bin/python"
    locks = "-r requirements/run.txt -r requirements/build.txt"
    assert f"uv pip install --quiet --python {python} --require-hashes {locks}" in by_uv
    assert "pip --require-hashes -r requirements/dev.txt -r requirements/build.txt" in checkout.noted()


def test_what_the_caller_set_for_other_environments_does_not_reach_in(checkout: Checkout) -> None:
    python = checkout.tools / "python3"
    python.write_text(PYTHON.replace("case", "env=$PIP_USER$PYTHONPATH$PIP_TARGET\ncase", 1).replace("set -u", ""))
    python.write_text(
        python.read_text().replace("echo 'made", 'printf "leaked [%s]\\n" "$env" >>"$NOTES"; echo \'made')
    )

    checkout.run("serve", PIP_USER="1", PYTHONPATH="/elsewhere", PIP_TARGET="/elsewhere")

    assert "leaked []" in checkout.noted()


def test_bench_and_lint_run_in_the_checkout(checkout: Checkout) -> None:
    checkout.run("bench", "--quick")
    assert checkout.noted()[-1] == "python -m benchmarks.bench --quick"
    (checkout.folder / ".venv/bin/lint-imports").write_text("#!/bin/sh\nexit 1\n")
    (checkout.folder / ".venv/bin/lint-imports").chmod(0o755)

    done = checkout.run("lint")

    assert done.returncode == 1
    assert checkout.noted() == ["python -m ruff check .", "python -m ruff format --check --quiet .", "python -m mypy"]


def test_lint_comes_before_the_tests_and_stops_them(checkout: Checkout) -> None:
    checkout.run("lint")
    checkout.noted()

    done = checkout.run("test")  # the pretend environment has no lint-imports

    assert done.returncode != 0
    assert not any("pytest" in line for line in checkout.noted())


def test_the_whole_suite_is_measured_and_held_to_its_coverage(checkout: Checkout) -> None:
    checkout.run("lint")
    (checkout.folder / ".venv/bin/lint-imports").write_text("#!/bin/sh\n")
    (checkout.folder / ".venv/bin/lint-imports").chmod(0o755)
    checkout.noted()

    done = checkout.run("test")

    assert done.returncode == 0
    assert checkout.noted()[3:] == [
        "python -m pytest --numprocesses auto --dist worksteal --cov --cov-report term-missing:skip-covered"
    ]
