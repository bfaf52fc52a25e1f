"""The page about changing a policy is true: its commands run one after the other before a running demo."""

import re

from tests.end_to_end.story import pattern_of, run
from tests.end_to_end.test_readme import sessions


def test_every_command_of_the_page_prints_what_is_shown(root, folder, environment, addresses) -> None:
    told = sessions((root / "docs" / "change-a-policy.md").read_text())
    assert len(told) >= 20
    for written, shown in told:
        command = written
        for example, address in addresses.items():
            command = command.replace(example, address)
        code, printed = run(command, folder, environment, errors=True)
        assert code == (1 if shown.startswith("gateway: ") else 0), f"{command} printed:\n{printed}"
        assert re.fullmatch(pattern_of(shown), printed), f"{command} printed:\n{printed}"
