"""Pages that tell a story before the demo: how their commands are run, and what they must print."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

CURL = """\
import sys, urllib.error, urllib.request
words, headers, data, url = sys.argv[1:], {}, None, None
while words:
    word = words.pop(0)
    if word == "-H":
        name, _, text = words.pop(0).partition(": ")
        headers[name] = text
    elif word == "-d":
        data = words.pop(0).encode()
    elif word != "-s":
        url = word
try:
    answer = urllib.request.urlopen(urllib.request.Request(url, data, headers))
except urllib.error.HTTPError as refusal:
    answer = refusal
sys.stdout.buffer.write(answer.read())
"""
"""What of curl the page uses: not every machine that runs the tests has it."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with `gateway`, `python3` and `curl` on its own path."""
    (tmp_path / "bin").mkdir()
    for name, text in {
        "gateway": f"#!{sys.executable}\nfrom gateway.cli import main\nmain()\n",
        "python3": f'#!/bin/sh\nexec {sys.executable} "$@"\n',
        "curl": f"#!{sys.executable}\n{CURL}",
    }.items():
        (tmp_path / "bin" / name).write_text(text)
        (tmp_path / "bin" / name).chmod(0o755)
    return tmp_path


@pytest.fixture
def environment(folder: Path, root: Path) -> dict[str, str]:
    return {
        "PATH": f"{folder / 'bin'}:{os.defpath}",
        "PYTHONPATH": str(root),
        "GATEWAY_CONFIG": "demo/gateway.toml",
        "PYTHONUTF8": "1",
    }


@pytest.fixture
def addresses(folder: Path, environment: dict[str, str]) -> Iterator[dict[str, str]]:
    """Where a running demo and its admin API listen."""
    errors = (folder / "errors").open("w+")
    demo = subprocess.Popen(
        ["gateway", "demo", "--port", "0", "--directory", "demo"],
        executable=folder / "bin" / "gateway",
        cwd=folder,
        env={name: text for name, text in environment.items() if name != "GATEWAY_CONFIG"},
        stdout=subprocess.PIPE,
        stderr=errors,
        text=True,
    )
    assert demo.stdout is not None
    gateway = next(found[0] for line in demo.stdout if (found := re.search(r"http://127.0.0.1:\d+", line)))
    deadline = time.monotonic() + 60
    while (admin := re.search(r"admin API on (http://127.0.0.1:\d+)", (folder / "errors").read_text())) is None:
        assert time.monotonic() < deadline
    yield {"http://127.0.0.1:8080": gateway, "http://127.0.0.1:8081": admin[1]}
    demo.send_signal(signal.SIGINT)
    demo.communicate(timeout=30)
    errors.close()


def run(command: str, folder: Path, environment: Mapping[str, str], *, errors: bool = False) -> tuple[int, str]:
    """Return how a command ended and what it printed; what it said on stderr, too, where `errors`."""
    ran = subprocess.run(
        ["/bin/sh", "-c", command],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT if errors else None,
        text=True,
        check=False,
    )
    return ran.returncode, ran.stdout if ran.stdout.endswith("\n") or not ran.stdout else ran.stdout + "\n"


def pattern_of(shown: str) -> str:
    """Return what a page shows as a pattern: `…` alone stands for any lines, within a line for anything."""
    return "".join(
        "(?:.*\n)*?" if line == "…" else re.escape(line).replace("…", ".*") + "\n" for line in shown.splitlines()
    )
