"""Each check says what it says of a gateway as it stands."""

from gateway.adapters.journal import FileJournal
from gateway.app import Gateway
from gateway.app.health import checks_of
from gateway.config import load
from gateway.service.health import failing


async def test_a_gateway_that_serves_is_ready_and_one_that_ended_is_not(site) -> None:
    gateway = Gateway(load(site.config))
    assert "started" in failing(checks_of(gateway))
    await gateway.start()
    checks = {check.name: check for check in checks_of(gateway)}
    assert failing(checks.values()) == ()
    assert checks["policies"].says.startswith(f"bundle {gateway.line.bundle.digest[:12]}")
    assert checks["store"].ok
    assert all(str(site.folder) not in check.says for check in checks.values())
    await gateway.close()
    assert "started" in failing(checks_of(gateway))


async def test_what_cannot_be_recorded_or_heard_is_told(site, monkeypatch) -> None:
    gateway = Gateway(load(site.config))
    await gateway.start()
    with monkeypatch.context() as patched:
        patched.setattr(FileJournal, "fault", property(lambda _: "the disk is full"))
        patched.setattr(gateway.store, "fresh", lambda _: False)
        patched.setattr(gateway.geo, "warnings", lambda _: ("one is old",))
        checks = {check.name: check for check in checks_of(gateway)}
    assert failing(checks.values()) == ("journal",)
    assert not checks["store"].ok
    assert checks["editions"].says == "1 older than wished"
    await gateway.close()
