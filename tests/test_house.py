"""The house stays in order: what a reader would stumble over is found here, not in a review."""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path
from statistics import median

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("gateway", "geodb")

LONGEST = 400
MEDIAN = 170

GENERATED = {"gateway/core/subdivisions.py"}
"""Data that a script writes; its own test checks it against its source."""

TESTED_ELSEWHERE = {
    "gateway/ports.py": "tests/contract",  # protocols: one suite runs on everything that implements them
    "gateway/core/errors.py": "tests/core",  # names without behaviour, raised and caught all over
    "gateway/core/request.py": "tests/core",  # one tuple
}

TOOLS_FOR_MAINTAINERS = {"geodb/reference/generate.py"}
"""Run from a checkout, with the packages for development."""

NOT_OURS = {".git", ".venv", "var", "dist", "node_modules", "__pycache__"}


def modules() -> list[str]:
    """Return every module that has something to read: no generated data, no migration, no bare docstring."""
    found = (path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
    return sorted(
        name
        for path in found
        if (name := path.relative_to(ROOT).as_posix()) not in GENERATED
        and "/migrations/" not in name
        and len(ast.parse(path.read_text()).body) > 1
    )


def texts() -> Iterator[tuple[str, str]]:
    """Yield name and content of every text of the project."""
    for path in sorted(ROOT.rglob("*")):
        parts = path.relative_to(ROOT).parts
        if path.is_symlink() or not path.is_file() or NOT_OURS.intersection(parts):
            continue
        if any(part.startswith(".") and part.endswith(("_cache", ".hypothesis")) for part in parts):
            continue
        try:
            yield "/".join(parts), path.read_text()
        except UnicodeDecodeError:
            continue


def sources() -> Iterator[tuple[str, str]]:
    return ((name, text) for name, text in texts() if name.endswith(".py"))


def hits(pattern: str, found: Iterator[tuple[str, str]]) -> list[str]:
    return [
        f"{name}:{number}: {line.strip()[:100]}"
        for name, text in found
        for number, line in enumerate(text.splitlines(), 1)
        if re.search(pattern, line)
    ]


def mirror(module: str) -> str:
    """Return where the tests of a module stand."""
    folder, _, name = module.removeprefix("gateway/").rpartition("/")
    return "/".join(filter(None, ("tests", folder, f"test_{name}")))


@pytest.mark.parametrize(
    "module", [name for name in modules() if not name.endswith("__init__.py") and name not in TESTED_ELSEWHERE]
)
def test_every_module_has_the_test_that_mirrors_it(module: str) -> None:
    assert (ROOT / mirror(module)).is_file(), f"{module} has no {mirror(module)}"


@pytest.mark.parametrize(("module", "where"), TESTED_ELSEWHERE.items())
def test_what_is_tested_elsewhere_is_tested_there(module: str, where: str) -> None:
    assert (ROOT / module).is_file()
    assert list((ROOT / where).glob("test_*.py")), f"{where} is empty"


def test_no_module_is_too_long_to_hold_in_the_head() -> None:
    lengths = {name: len((ROOT / name).read_text().splitlines()) for name in modules()}

    assert {name: lines for name, lines in lengths.items() if lines > LONGEST} == {}
    assert median(lengths.values()) <= MEDIAN


def test_no_module_and_no_class_is_called_manager_handler_helper_engine_or_utils() -> None:
    vague = re.compile(r"(?:^|_)(?:managers?|handlers?|helpers?|engines?|utils?|misc)(?:_|$)")
    found = []
    for module in modules():
        nodes = ast.walk(ast.parse((ROOT / module).read_text()))
        names = [Path(module).stem, *(node.name for node in nodes if isinstance(node, ast.ClassDef))]
        snake = [re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower() for name in names]
        found += [f"{module}: {name}" for name in snake if vague.search(name)]

    assert found == []


EXPECTED = {"tests that may not run": ["tests/conftest.py: pytest.skip(missing)"]}
"""The one way to leave tests out: those that need data of others or a compiler, unless a variable demands them."""


# The patterns below are written so that they do not find themselves.
@pytest.mark.parametrize(
    ("what", "pattern"),
    [
        ("a package index's host", r"python[h]osted|[/.]pypi[.]o[r]g|np[m]js[.]"),
        ("a path of somebody's machine", r"(?<![\w.])/wor[k]/|/hom[e]/\w|/Use[r]s/\w|/roo[t]/(?!\.cache/pip)"),
    ],
)
def test_no_text_names(what: str, pattern: str) -> None:
    assert hits(pattern, texts()) == [], what


@pytest.mark.parametrize(
    ("what", "pattern"),
    [
        ("unfinished work", r"NotImplemented[E]rror|\bTOD[O]\b|\bFIXM[E]\b|\bXX[X]\b"),
        ("lines hidden from coverage", r"pragma:\s*no\s*(?:cover|branch)\b(?!\))"),
        ("tests that may not run", r"pytest\.(?:mark\.)?(?:ski[p]|skipi[f]|xfai[l])|importors[k]ip"),
    ],
)
def test_no_source_has(what: str, pattern: str) -> None:
    found = [hit for hit in hits(pattern, sources()) if not hit.startswith("tests/test_house.py")]

    assert [re.sub(r":\d+:", ":", hit) for hit in found] == EXPECTED.get(what, []), what


def test_every_silenced_finding_has_its_code_and_its_reason() -> None:
    with_reason = re.compile(
        r"# (?:noqa: [A-Z]+\d+(?:, ?[A-Z]+\d+)*|type: ignore\[[a-z-]+(?:, ?[a-z-]+)*\]) *(?:[-#] *)?\w"
    )
    silenced = re.compile(r"# ?(?:noq[a]|type: ?ignor[e])")
    inside = [(name, text) for name, text in sources() if name.startswith(PACKAGES)]
    found = [hit for hit in hits(silenced.pattern, iter(inside)) if not with_reason.search(_whole_line(hit))]

    assert found == []


def _whole_line(hit: str) -> str:
    name, number, _ = hit.split(":", 2)
    return (ROOT / name).read_text().splitlines()[int(number) - 1]


def test_every_rule_that_ruff_leaves_out_has_its_reason() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    lint = tomllib.loads(text)["tool"]["ruff"]["lint"]
    lines = text.splitlines()

    for code in lint["ignore"]:
        assert any(re.match(rf'\s*"{code}",\s+# \w', line) for line in lines), f"ignored rule {code} has no reason"
    for pattern in lint["per-file-ignores"]:
        at = next(number for number, line in enumerate(lines) if line.startswith(f'"{pattern}" ='))
        assert re.search(r"\]\s+# \w", lines[at]) or lines[at - 1].startswith("# "), f"{pattern} has no reason"


def test_the_locks_hold_hashes_and_no_addresses() -> None:
    for lock in (ROOT / "requirements").glob("*.txt"):
        text = lock.read_text()
        pins = re.findall(r"^[a-z0-9][a-z0-9._-]*(?:\[[a-z,]+\])?==\S+", text, re.MULTILINE)
        assert "://" not in text, lock.name
        assert pins, lock.name
        assert len(re.findall(r"(?:^|\n)[a-z0-9][^\n]*\\\n    --hash=sha256:", text)) == len(pins), lock.name
    assert not (ROOT / "uv.lock").exists()


@pytest.mark.parametrize("narrow", ["run", "dev", "build"])
def test_one_environment_serves_every_verb(narrow: str) -> None:
    def pins(name: str) -> set[str]:
        text = (ROOT / "requirements" / f"{name}.txt").read_text()
        return set(re.findall(r"^[a-z0-9][^ \\]*", text, re.MULTILINE))

    assert pins(narrow) - pins("bench") == set(), "`./run lock` resolves them together"


@pytest.mark.parametrize(("script", "shells"), [("run", ("sh", "dash", "bash")), (".ci/run", ("bash",))])
def test_scripts_parse_and_may_be_run(script: str, shells: tuple[str, ...]) -> None:
    path = ROOT / script

    assert path.stat().st_mode & 0o111 == 0o111
    for shell in filter(shutil.which, shells):
        done = subprocess.run([shell, "-n", str(path)], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, ""), shell


def test_every_package_that_is_imported_is_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = {re.split(r"[\[<>=;]", line)[0].lower().replace("_", "-") for line in project["dependencies"]}
    owners = packages_distributions()
    missing = set()
    for name, text in sources():
        if not name.startswith(PACKAGES) or name in TOOLS_FOR_MAINTAINERS:
            continue
        for node in ast.walk(ast.parse(text)):
            imported = (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else []
            )
            for top in {one.partition(".")[0] for one in imported} - sys.stdlib_module_names - set(PACKAGES):
                owner = {one.lower().replace("_", "-") for one in owners.get(top, [top])}
                if not owner & declared:
                    missing.add(f"{name} imports {top}")

    assert missing == set()
