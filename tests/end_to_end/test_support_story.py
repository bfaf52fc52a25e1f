"""The support story is true: its commands run one after the other before a running demo, and print what is shown."""

import os
import re
import signal
import subprocess
import sys
import time

import pytest

from tests.end_to_end.test_readme import sessions

EXAMPLE_ID = "01a1fef6-161e-7271-ae2b-3a0b42580321"


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
def folder(tmp_path):
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
def environment(folder, root):
    return {
        "PATH": f"{folder / 'bin'}:{os.defpath}",
        "PYTHONPATH": str(root),
        "GATEWAY_CONFIG": "demo/gateway.toml",
        "PYTHONUTF8": "1",
    }


@pytest.fixture
def addresses(folder, environment):
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


def test_every_command_of_the_story_prints_what_is_shown(root, folder, environment, addresses) -> None:
    page = (root / "docs" / "support-story.md").read_text()
    told = sessions(page)
    assert len(told) >= 10
    actual = None
    for written, shown in told:
        command = written.replace(EXAMPLE_ID, actual or EXAMPLE_ID)
        for example, address in addresses.items():
            command = command.replace(example, address)
        ran = subprocess.run(
            ["/bin/sh", "-c", command], cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        assert ran.returncode == 0, f"{command}: {ran.stderr}"
        if actual is None:
            found = re.search(r'"decision_id":"([0-9a-f-]{36})"', ran.stdout)
            assert found, ran.stdout
            actual = found[1]
        pattern = "".join(
            "(?:.*\n)*?" if line == "…" else re.escape(line.replace(EXAMPLE_ID, actual)).replace("…", ".*") + "\n"
            for line in shown.splitlines()
        )
        printed = ran.stdout if ran.stdout.endswith("\n") or not ran.stdout else ran.stdout + "\n"
        assert re.fullmatch(pattern, printed), f"{command} printed:\n{ran.stdout}\n{ran.stderr}"


def test_the_story_leaves_no_secret_in_the_log_or_the_store(root, folder, environment, addresses) -> None:
    made = subprocess.run(
        ["/bin/sh", "-c", "gateway token create --label desk --scope decisions:read --why 'TICKET-4710: look-ups'"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    secret = made.split("_", 2)[2]
    admin = addresses["http://127.0.0.1:8081"]
    for token, says in ((made, '{"decisions":['), (made[:-4] + "AAAA", "urn:gateway:problem:token-invalid")):
        curl = ["curl", "-s", "-H", f"Authorization: Bearer {token}", f"{admin}/api/v1/decisions"]
        answer = subprocess.run(curl, executable=folder / "bin" / "curl", capture_output=True, text=True, check=True)
        assert says in answer.stdout
    for path in folder.rglob("*"):
        if path.is_file():
            assert secret[:-4].encode() not in path.read_bytes(), path
