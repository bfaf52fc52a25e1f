"""The demo as a newcomer meets it: started by its command, every request that it prints sent, every answer compared."""

import asyncio
import json
import re
import shlex
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import httpx2
import pytest

from gateway.adapters.sql import AccountStore
from gateway.config import load

GATEWAY = [sys.executable, "-c", "from gateway.cli import main; main()"]


@pytest.fixture(scope="module")
def demo(tmp_path_factory, root):
    """The lines that a running demo printed, and its folder."""
    folder = tmp_path_factory.mktemp("demo")
    process = subprocess.Popen(
        [*GATEWAY, "demo", "--port", "0", "--directory", str(folder)],
        cwd=root,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    printed = []
    for line in process.stdout:
        printed.append(line)
        if "Ctrl-C" in line:
            break
    yield "".join(printed), folder
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)


def requests(printed):
    """Yield what each printed request says of itself, and its curl arguments."""
    yield from re.findall(r"^# (.*)\n(curl .*)$", printed, re.MULTILINE)


def send(command: str) -> httpx2.Response:
    """Send what the curl line would send, by another client."""
    words = shlex.split(re.sub(r"\$\(cat (\S+)\)", lambda found: Path(found[1]).read_text(), command))
    headers, data, url = {}, None, words[-1]
    for option, value in pairwise(words):
        if option == "-H":
            name, _, text = value.partition(": ")
            headers[name] = text
        elif option == "-d":
            data = value
    with httpx2.Client() as client:
        request = client.build_request("GET" if data is None else "POST", url, headers=headers, content=data)
        # The client would tidy the path; the wire must carry what stands on the line.
        request.url = request.url.copy_with(raw_path=url.split("/", 3)[3].join(["/", ""]).encode())
        return client.send(request)


def test_every_printed_request_is_answered_as_it_says(demo) -> None:
    printed, _ = demo
    sent = list(requests(printed))
    assert len(sent) >= 15
    for says, command in sent:
        promised = int(re.search(r"\b(200|201|400|401|403|451)\b", says)[0])
        answer = send(command)
        assert answer.status_code == promised, f"{says}: {answer.status_code} {answer.text}"
        assert answer.headers["gateway-decision"]
        if promised >= 400:
            assert answer.json()["decision_id"] == answer.headers["gateway-decision"]


def test_every_answer_explains_itself_and_replays(demo, root) -> None:
    printed, folder = demo
    config = ["--config", str(folder / "gateway.toml")]
    command = next(command for says, command in requests(printed) if "Bob in Ohio" in says)
    decision_id = send(command).headers["gateway-decision"]
    explained = subprocess.run(
        [*GATEWAY, "explain", decision_id, *config], cwd=root, capture_output=True, text=True, check=True
    ).stdout
    assert "us-closed" in explained
    assert "65.24.10.0/24" in explained
    replayed = subprocess.run(
        [*GATEWAY, "replay", "--since", "1h", *config], cwd=root, capture_output=True, text=True, check=True
    ).stdout
    assert re.fullmatch(r"\d+ same, 0 different, 0 impossible\n", replayed)


def test_a_status_set_on_the_command_line_is_in_force_at_once(demo, root) -> None:
    printed, folder = demo
    command = next(command for says, command in requests(printed) if "having just proved" in says)
    assert send(command).status_code == 201

    shown = next(line for line in printed.splitlines() if "account set alice" in line)
    subprocess.run([*GATEWAY, *shlex.split(shown)[1:]], cwd=root, capture_output=True, check=True)
    try:
        # Withdrawals read the store itself: there is nothing to wait for.
        assert send(command).status_code == 403
    finally:
        asyncio.run(taken_over(folder, "alice", "open"))
    assert send(command).status_code == 201


async def taken_over(folder: Path, uid: str, status: str) -> None:
    """Set a status as the exchange's own record has it: nobody at the command line widens one alone."""
    store = AccountStore(load(folder / "gateway.toml").store.url)
    await store.start()
    try:
        account = await store.read(uid)
        changed = account._replace(status=status)
        told = {name: getattr(changed, name) for name in ("status", "verification", "documents", "residence")}
        await store.put(uid, **told, nationality=account.nationality, who="tests", why="the tests")
    finally:
        await store.close()


def test_no_token_reaches_the_log_or_the_journal(demo) -> None:
    _, folder = demo
    secrets = [path.read_text().encode() for path in folder.glob("*.jwt")]
    for path in folder.rglob("*"):
        if path.is_file() and path.suffix != ".jwt":
            content = path.read_bytes()
            assert not any(secret in content for secret in secrets), path


def test_the_journal_says_the_same_as_the_answers(demo) -> None:
    printed, folder = demo
    from gateway.adapters.recorded import read_documents

    command = next(command for says, command in requests(printed) if "Tehran: 451" in says)
    answer = send(command)
    deadline = time.monotonic() + 5
    while True:
        documents = {one["id"]: one for one in read_documents(folder / "journal")}
        if answer.headers["gateway-decision"] in documents:
            break
        assert time.monotonic() < deadline
    document = documents[answer.headers["gateway-decision"]]
    assert document["reply"] == {"status": 451, "reason": "sanctioned-region"}
    assert document["client_ip"]["address"] == "2.176.0.1"
    assert json.dumps(document)
