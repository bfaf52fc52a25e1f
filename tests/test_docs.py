"""What the documentation says is so: its blocks load, its links lead somewhere, and no setting is left out."""

import ast
import json
import re
import subprocess
import tomllib
from pathlib import Path
from typing import NamedTuple

import pytest
from pydantic import TypeAdapter
from pydantic.fields import FieldInfo
from ruamel.yaml import YAML

from gateway.adapters.policy_files import read_sources
from gateway.app import parts
from gateway.config import load
from gateway.config.keys import EACH, Key, all_keys, unwrapped
from gateway.config.settings import Settings, Table
from gateway.policies.bundle import load as load_bundle

ROOT = Path(__file__).resolve().parent.parent


class Block(NamedTuple):
    """A fenced block. A second word after the language (```toml fragment) says that it is not whole."""

    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def pages() -> list[Path]:
    return sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("deploy/**/*.md")])


def blocks() -> list[Block]:
    return [
        Block(page.relative_to(ROOT).as_posix(), text.count("\n", 0, found.start()) + 1, found[1], found[2])
        for page in pages()
        if (text := page.read_text())
        for found in re.finditer(r"^```([^\s`]+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    ]


def documented() -> dict[str, tuple[str, str]]:
    """Return default and meaning of each setting by its path, as the tables of the page on configuration say."""
    found = {}
    table = ""
    for line in (ROOT / "docs/configuration.md").read_text().splitlines():
        if heading := re.match(r"## `\[{1,2}([a-z_]+)\]{1,2}`", line):
            table = heading[1]
        if row := re.fullmatch(r"\| `([a-z0-9_.*]+)` \| (.+?) \| (.+) \|", line):
            found[f"{table}.{row[1]}"] = (row[2], row[3])
    return found


def settings() -> list[Key]:
    """Return every key that holds a value of its own."""
    paths = [key.path for key in all_keys()]
    return [key for key in all_keys() if len(key.path) > 1 and not any(key.path == path[:-1] for path in paths)]


def name(key: Key) -> str:
    """Return a key as the page calls it: `[[operations]]` are tables, so their keys stand without the star."""
    first, *rest = key.path
    return ".".join([first, *(rest[1:] if rest[:1] == [EACH] else rest)])


@pytest.mark.parametrize("key", settings(), ids=name)
def test_every_setting_is_documented(key: Key) -> None:
    assert name(key) in documented(), f"docs/configuration.md says nothing of `{name(key)}`"


def test_nothing_is_documented_that_is_no_setting() -> None:
    known = {name(key) for key in all_keys()}

    assert set(documented()) - known == set()


@pytest.mark.parametrize("key", settings(), ids=name)
def test_the_documented_default_is_the_default(key: Key) -> None:
    default, _ = documented()[name(key)]
    field = _field(Settings, key.path)

    if default == "none; it must be said":
        assert field.is_required()
    elif default == "unset":
        assert field.get_default(call_default_factory=True) is None
    else:
        # Read it as the file would be read, and compare what comes out.
        written = tomllib.loads(f"value = {default.strip('`')}")["value"]
        read = TypeAdapter(field.rebuild_annotation()).validate_python(written)
        assert read == field.get_default(call_default_factory=True)


def _field(table: type[Table], path: tuple[str, ...]) -> FieldInfo:
    *above, last = path
    for part in above:
        if part != EACH:
            _, inner = unwrapped(_field(table, (part,)).annotation)
            assert inner is not None
            table = inner
    return next(field for key, field in table.model_fields.items() if (field.alias or key) == last)


@pytest.mark.parametrize(
    ("path", "environ"),
    [
        (ROOT / "deploy/gateway.example.toml", {}),
        (None, {"GATEWAY_CLIENT_IP__TRUSTED_PROXIES": "[]"}),
    ],
    ids=["the example", "the least that starts"],
)
def test_a_configuration_that_is_shown_loads_with_its_policies(path: Path | None, environ: dict[str, str]) -> None:
    settings = load(path, environ)

    assert parts.reader_of(settings)
    assert parts.bundle_of(settings).policies


@pytest.mark.parametrize("block", blocks(), ids=str)
def test_every_block_can_be_read_as_what_it_says_it_is(block: Block, tmp_path: Path) -> None:
    match block.language:
        case "toml":
            tomllib.loads(block.text)
            if "[client_ip]" in block.text:
                (tmp_path / "policies").mkdir()
                (tmp_path / "gateway.toml").write_text(block.text)
                load(tmp_path / "gateway.toml", {})
        case "yaml":
            content = YAML(typ="safe", pure=True).load(block.text)
            if isinstance(content, dict) and "policy" in content:
                (tmp_path / "page.yaml").write_text(block.text)
                # Which facts have a source is the reader's own affair, so it is not asked here.
                load_bundle(read_sources(["page.yaml"], tmp_path), sources_configured=None)
        case "json":
            json.loads(block.text)
        case "python":
            ast.parse(block.text)
        case "sh":
            done = subprocess.run(["sh", "-n"], input=block.text, capture_output=True, text=True, check=False)
            assert (done.returncode, done.stderr) == (0, "")
        case _:
            assert block.language in {"console", "text", "html", "nginx", "mermaid"}, "a language that nobody checks"


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    prose = re.sub(r"^```.*?^```$|`[^`\n]*`", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", prose):
        if not re.match(r"[a-z]+:", target):
            path, _, anchor = target.partition("#")
            other = (page.parent / path) if path else page
            assert other.exists(), f"{target} leads nowhere"
            assert not anchor or anchor in _anchors(other), f"{target}: no such heading"


FOLDERS = "gateway|geodb|tests|docs|deploy|benchmarks|requirements|schemas|scripts"


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.relative_to(ROOT).as_posix())
def test_files_that_a_page_names_are_there(page: Path) -> None:
    named = set(re.findall(rf"`((?:{FOLDERS})/[\w./*-]*)`", page.read_text()))

    assert {path for path in named if not any(ROOT.glob(path.rstrip("/")))} == set()


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
