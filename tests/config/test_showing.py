"""What is in effect is shown whole, as the file would say it, and without a secret."""

import json
from collections.abc import Callable

from gateway.config import Settings
from gateway.config.showing import MASKED, lines, shown

Load = Callable[..., Settings]
TEXT = """
[client_ip]
trusted_proxies = ["10.0.0.0/8"]
[identity]
algorithms = ["HS256"]
issuer = "i"
audience = "a"
secret = "a-secret-of-more-than-32-bytes-in-all"
leeway = "20s"
[archive]
url = "postgresql://me:hunter2@db.example/decisions"
[[operations]]
operation = "withdraw"
path = "/w"
[server]
port = 81
"""


def test_every_setting_is_shown_with_its_unit_and_no_secret(load_text: Load) -> None:
    table = shown(load_text(TEXT))
    text = json.dumps(table)
    assert "hunter2" not in text
    assert "a-secret" not in text
    assert table["identity"]["secret"] == MASKED
    assert table["identity"]["leeway"] == "20s"
    assert table["archive"]["url"] == f"postgresql://me:{MASKED}@db.example/decisions"
    assert table["server"]["port"] == 81
    assert table["tracing"] is None


def test_lines_name_each_key_as_messages_do(load_text: Load) -> None:
    said = list(lines(shown(load_text(TEXT))))
    assert 'client_ip.trusted_proxies = ["10.0.0.0/8"]' in said
    assert 'operations[0].path = "/w"' in said
    assert "archive.compress" not in {one.partition(" ")[0] for one in said}
    assert "journal.compress = true" in said
    assert not any("hunter2" in one or one.startswith("tracing") for one in said)
