"""The README's first screen is true: its files are written, its commands run, its output compared."""

import os
import re
import subprocess
import sys

import pytest


@pytest.fixture(scope="module")
def readme(root) -> str:
    return (root / "README.md").read_text()


@pytest.fixture(scope="module")
def folder(readme, tmp_path_factory):
    """A folder with the files that the README shows, under the names that it gives them."""
    folder = tmp_path_factory.mktemp("newcomer")
    for name, text in re.findall(r"\(`([^`]+)`\):\n\n```(?:yaml|toml)\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    assert (folder / "gateway.toml").exists()
    command = folder / "bin" / "gateway"
    command.parent.mkdir()
    command.write_text(f"#!{sys.executable}\nfrom gateway.cli import main\nmain()\n")
    command.chmod(0o755)
    return folder


def sessions(text: str) -> list[tuple[str, str]]:
    """Return each command of the console blocks, and what it prints."""
    found = []
    for block in re.findall(r"^```console\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            found.append((command, output))
    return found


def test_every_command_of_the_first_screen_prints_what_is_shown(readme, folder, root) -> None:
    environment = {"PATH": f"{folder / 'bin'}:{os.defpath}", "PYTHONPATH": str(root)}
    shown = sessions(readme)
    assert len(shown) >= 4
    for command, output in shown:
        ran = subprocess.run(
            ["/bin/sh", "-c", command], cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        assert ran.returncode == 0, f"{command}: {ran.stderr}"
        pattern = "".join(
            "(?:.*\n)*?" if line == "…" else re.escape(line).replace("…", ".*") + "\n" for line in output.splitlines()
        )
        assert re.fullmatch(pattern, ran.stdout), f"{command} printed:\n{ran.stdout}"


def test_the_python_of_the_readme_runs(readme, folder, monkeypatch) -> None:
    monkeypatch.chdir(folder)
    (code,) = re.findall(r"^```python\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL)
    names: dict[str, object] = {}
    exec(code, names)
    middleware = names["app"].user_middleware[0]
    assert middleware.cls(names["app"], *middleware.args, **middleware.kwargs).gateway.line.bundle.policies


def test_the_two_commands_of_the_readme_are_verbs_of_run(readme, root) -> None:
    usage = subprocess.run([str(root / "run"), "help"], capture_output=True, text=True, check=True).stdout
    for verb in re.findall(r"^\./run (\w+)$", readme, re.MULTILINE):
        assert re.search(rf"^  {verb} ", usage, re.MULTILINE)
