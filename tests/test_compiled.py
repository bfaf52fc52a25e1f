"""What a compiled wheel runs is what the sources say: the hot path's own tests, run against its extension modules.

Compiling takes half a minute, so it is done once. Without a C compiler these tests are left out, and the summary says
so; where `TEST_COMPILED` is set, that is a failure.
"""

import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest

import hatch_build

pytestmark = pytest.mark.timeout(900)  # a compiler and some hundred tests, on a machine that does other things too

ROOT = Path(__file__).resolve().parent.parent

SUITES = (
    *("tests/service", "tests/enforce", "tests/app/test_middleware.py"),
    *("tests/core/test_headers.py", "tests/core/test_target.py"),
    *(f"tests/core/test_{name}.py" for name in ("anomaly", "everyone", "login", "profile", "sketch")),
    *(f"tests/core/test_{name}.py" for name in ("anomaly_fit", "forgetting", "profile_state", "withdrawal_context")),
    *("tests/adapters/test_tail.py", "tests/adapters/test_journal.py", "tests/adapters/test_clock.py"),
)

REPLACES_A_PART = (
    "tests/adapters/test_tail.py::test_a_slow_disk_holds_up_one_request_and_refuses_the_others_at_once",
    "tests/adapters/test_journal.py::test_an_idle_journal_leaves_the_disk_alone",
    "tests/core/test_everyone.py::test_browsers_that_name_themselves_fill_no_memory_and_make_nobody_rare",
)
"""A compiled module has its constants in its machine code, and its objects keep their methods: what a test puts in the
place of one is not seen, or refused."""

WHERE = """
import sys
from importlib import import_module
for name in sys.argv[1:]:
    print(import_module(name).__file__)
"""


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory, can_compile: None) -> Path:
    """A folder with the package, compiled as a wheel has it."""
    folder = tmp_path_factory.mktemp("compiled")
    hatch_build.compiled(ROOT, folder)
    return folder


def run(compiled: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run a Python that finds the compiled package first."""
    return subprocess.run(
        [sys.executable, "-P", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{compiled}{os.pathsep}{ROOT}"},  # noqa: TID251 - the same environment, one variable more
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=800,
        check=False,
    )


def test_every_module_of_the_hot_path_is_compiled(compiled: Path) -> None:
    modules = [name.removesuffix(".py").replace("/", ".") for name in hatch_build.COMPILED]
    suffix = sysconfig.get_config_var("EXT_SUFFIX")

    found = run(compiled, "-c", WHERE, *modules).stdout.split()

    assert found == [f"{compiled}/{name.removesuffix('.py')}{suffix}" for name in hatch_build.COMPILED]


def test_every_score_is_the_same_number_to_the_last_bit_when_it_is_compiled(compiled: Path) -> None:
    script = str(ROOT / "tests" / "scores.py")

    as_compiled, as_written = run(compiled, script), run(ROOT, script)

    assert as_written.returncode == 0, as_written.stdout[-2_000:]
    assert as_compiled.stdout == as_written.stdout
    assert as_written.stdout.startswith("378 True ")


def test_the_hot_path_passes_its_own_tests_when_it_is_compiled(compiled: Path) -> None:
    left_out = [option for test in REPLACES_A_PART for option in ("--deselect", test)]
    options = ("-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-o", f"pythonpath={compiled} {ROOT}")

    done = run(compiled, "-m", "pytest", *options, "--timeout", "60", *left_out, *SUITES)

    assert done.returncode == 0, done.stdout[-6_000:]
    counted = re.search(r"(\d+) passed, (\d+) deselected", done.stdout)
    assert counted is not None, done.stdout[-2_000:]
    assert int(counted[1]) > 200
    assert int(counted[2]) == len(REPLACES_A_PART)


def test_the_hot_path_exists() -> None:
    assert [name for name in hatch_build.COMPILED if not (ROOT / name).is_file()] == []


# --- what needs no compiler


@pytest.fixture
def hook(tmp_path: Path) -> hatch_build.CompiledHotPath:
    nothing: Any = None
    return hatch_build.CompiledHotPath(str(ROOT), {}, nothing, nothing, str(tmp_path), "wheel")


@pytest.fixture
def wheel() -> dict[str, Any]:
    """What hatchling knows of a wheel before any hook has spoken."""
    return {"force_include": {}, "pure_python": True, "infer_tag": False}


@pytest.mark.parametrize(("asked", "version"), [(None, "standard"), ("0", "standard"), ("1", "editable")])
def test_a_build_is_pure_unless_it_was_asked_for_and_an_editable_install_always(
    hook: hatch_build.CompiledHotPath,
    wheel: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    asked: str | None,
    version: str,
) -> None:
    if asked is not None:
        monkeypatch.setenv(hatch_build.SWITCH, asked)
    before = dict(wheel)

    hook.initialize(version, wheel)

    assert wheel == before


def test_a_compiled_wheel_holds_the_modules_and_says_for_what_it_was_made(
    hook: hatch_build.CompiledHotPath, wheel: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(hatch_build.SWITCH, "1")
    monkeypatch.setattr(hatch_build, "lacking", lambda: None)
    monkeypatch.setattr(hatch_build, "compiled", lambda root, folder: ["gateway/ports.so"])

    hook.initialize("standard", wheel)

    ((made, name),) = wheel["force_include"].items()
    assert name == "gateway/ports.so"
    assert (wheel["pure_python"], wheel["infer_tag"]) == (False, True)
    assert hook.dependencies() == ["mypy>=2.4", "setuptools>=80"]
    folder = Path(made).parents[1]
    assert folder.is_dir()
    hook.finalize("standard", wheel, "")
    assert not folder.exists()


def test_what_is_missing_stops_a_compiled_build_in_one_line(
    hook: hatch_build.CompiledHotPath, wheel: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(hatch_build.SWITCH, "1")
    monkeypatch.setenv("CC", "no-such-compiler -O2")

    with pytest.raises(SystemExit) as stopped:
        hook.initialize("standard", wheel)

    assert str(stopped.value) == (
        "hatch_build: GATEWAY_COMPILE=1, and this machine cannot compile: no C compiler: `no-such-compiler` is not on "
        "PATH (on Debian and Ubuntu: apt-get install gcc libc6-dev)"
    )


def test_missing_headers_and_packages_are_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CC", sys.executable)  # something that is there
    monkeypatch.setattr(sysconfig, "get_path", lambda _name: str(tmp_path))
    assert "no headers of this Python" in str(hatch_build.lacking())
    (tmp_path / "Python.h").touch()
    monkeypatch.setattr(hatch_build, "find_spec", lambda name: None if name == "setuptools" else name)
    assert hatch_build.lacking() == "no setuptools: pip install --requirement requirements/build.txt"


def test_a_word_that_is_no_answer_is_refused(
    hook: hatch_build.CompiledHotPath, wheel: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(hatch_build.SWITCH, "yes")

    with pytest.raises(SystemExit, match="GATEWAY_COMPILE is `yes`; it is 1 to compile the hot path, 0 not to"):
        hook.initialize("standard", wheel)


def test_sources_that_do_not_compile_stop_the_build_with_what_the_compiler_said(
    tmp_path: Path, can_compile: None
) -> None:
    for name in hatch_build.COMPILED:
        (tmp_path / "root" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "root" / name).write_text("number: int = 'none'\n")
        (tmp_path / "root" / name).with_name("__init__.py").touch()
    (tmp_path / "root" / "gateway" / "__init__.py").touch()

    with pytest.raises(SystemExit, match=r"(?s)Incompatible types in assignment.*mypyc could not compile the hot path"):
        hatch_build.compiled(tmp_path / "root", tmp_path / "made")
