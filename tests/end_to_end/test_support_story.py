"""The support story is true: its commands run one after the other before a running demo, and print what is shown."""

import re
import subprocess

from tests.end_to_end.story import pattern_of, run
from tests.end_to_end.test_readme import sessions

EXAMPLE_ID = "01a1fef6-161e-7271-ae2b-3a0b42580321"


def test_every_command_of_the_story_prints_what_is_shown(root, folder, environment, addresses) -> None:
    page = (root / "docs" / "support-story.md").read_text()
    told = sessions(page)
    assert len(told) >= 10
    actual = None
    for written, shown in told:
        command = written.replace(EXAMPLE_ID, actual or EXAMPLE_ID)
        for example, address in addresses.items():
            command = command.replace(example, address)
        code, printed = run(command, folder, environment)
        assert code == 0, command
        if actual is None:
            found = re.search(r'"decision_id":"([0-9a-f-]{36})"', printed)
            assert found, printed
            actual = found[1]
        assert re.fullmatch(pattern_of(shown.replace(EXAMPLE_ID, actual)), printed), f"{command} printed:\n{printed}"


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
