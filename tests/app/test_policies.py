"""What a process decides by: taken from files or from the store, kept where it cannot be, and said aloud."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from structlog.testing import capture_logs

from gateway.adapters.policy_files import read_sources
from gateway.adapters.revisions import RevisionStore
from gateway.app import Gateway
from gateway.app.parts import bundle_of
from gateway.config import load
from gateway.core.errors import StoreUnavailable
from gateway.desk.revision import Revision
from gateway.policies.bundle import digest_of
from tests.stores import DAY, person

EDITOR, APPROVER = person("Eve", ["editor"]), person("Ada", ["approver"])


@asynccontextmanager
async def live(site):
    gateway = Gateway(load(site.config))
    await gateway.start()
    try:
        yield gateway
    finally:
        await gateway.close()


def tightened(site) -> str:
    return site.policy.replace('"IR"', '"KP"').replace(": IR", ": KP")


def from_store(site) -> None:
    site.config.write_text(site.config.read_text().replace("[policies]", '[policies]\nsource = "store"'))


async def until(done, within_s: float = 20) -> None:
    async with asyncio.timeout(within_s):
        while not done():  # noqa: ASYNC110 - what it waits for is a value that others set
            await asyncio.sleep(0.01)


async def told(store: RevisionStore, enough):
    """Return what the processes say they run, once it is enough."""
    async with asyncio.timeout(20):
        while not enough(runs := await store.runs()):  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.01)
    return runs


async def publish(store: RevisionStore, sources: dict[str, str], now: int, starts_at: int | None = None) -> Revision:
    """Propose and approve without anything being examined."""
    active = await store.active()
    assert active is not None
    draft = Revision(
        0, digest_of(sources), active.digest, "Eve", "tighter", False, "", now, now + DAY, starts_at
    )  # fmt: skip
    proposed = await store.propose(draft, sources, {})
    assert isinstance(proposed, Revision), proposed
    approved = await store.approve(proposed.number, APPROVER, "seen", proposed.version, {})
    assert isinstance(approved, Revision), approved
    return approved


def sources_with(site, policy: str) -> dict[str, str]:
    sources = dict(read_sources(load(site.config).policies.paths, site.folder))
    name = next(name for name in sources if name.endswith("closed.yaml"))
    return {**sources, name: policy}


async def test_files_that_change_are_taken_at_once(site) -> None:
    async with live(site) as gateway:
        before = gateway.line.bundle.digest
        (site.folder / "policies" / "closed.yaml").write_text(tightened(site))
        await until(lambda: gateway.line.bundle.digest != before)


async def test_a_volume_that_is_swapped_by_a_link_is_taken_at_once_and_whole(site) -> None:
    folder = site.folder / "policies"
    for number, text in enumerate((site.policy, tightened(site))):
        (folder / f"..{number}").mkdir()
        (folder / f"..{number}" / "closed.yaml").write_text(text)
    (folder / "closed.yaml").unlink()
    (folder / "..data").symlink_to("..0")
    (folder / "closed.yaml").symlink_to("..data/closed.yaml")
    async with live(site) as gateway:
        before = gateway.line.bundle.digest
        (folder / "..next").symlink_to("..1")
        (folder / "..next").rename(folder / "..data")
        await until(lambda: gateway.line.bundle.digest != before)
        assert tightened(site) in gateway.line.bundle.sources.values()


async def test_a_folder_that_is_a_link_may_lead_elsewhere(site) -> None:
    (site.folder / "policies").rename(site.folder / "one")
    (site.folder / "two").mkdir()
    (site.folder / "two" / "closed.yaml").write_text(tightened(site))
    (site.folder / "policies").symlink_to("one")
    async with live(site) as gateway:
        before = gateway.line.bundle.digest
        (site.folder / "next").symlink_to("two")
        (site.folder / "next").rename(site.folder / "policies")
        await until(lambda: gateway.line.bundle.digest != before)


async def test_files_that_are_refused_leave_the_running_ones_and_everybody_is_told(site) -> None:
    async with live(site) as gateway:
        before = gateway.line.bundle.digest
        (site.folder / "policies" / "closed.yaml").write_text("policy: nonsense")
        await until(lambda: gateway.policies.running.refused is not None)
        assert gateway.line.bundle.digest == before
        store = RevisionStore(gateway.store)
        (run,) = await told(store, lambda runs: any(run.refused for run in runs))
        assert (run.digest, run.worker) == (before, gateway.journal.worker)
        assert "closed.yaml" in str(run.why)
        shown = gateway.metrics.exposition().decode()
        assert "gateway_policy_refused 1.0" in shown
        assert f'gateway_policy_bundle{{digest="{before}"}} 1.0' in shown
        (site.folder / "policies" / "closed.yaml").write_text(site.policy)
        await until(lambda: gateway.policies.running.refused is None)
        assert "gateway_policy_refused 0.0" in gateway.metrics.exposition().decode()


async def test_an_empty_store_begins_with_the_configured_policies(site) -> None:
    from_store(site)
    configured = bundle_of(load(site.config)).digest
    async with live(site) as gateway:
        active = await RevisionStore(gateway.store).active()
        assert active is not None
        assert (active.number, active.author, active.digest) == (1, "gateway", configured)
        async with live(site) as second:
            assert second.line.bundle.digest == configured
            assert len(await RevisionStore(gateway.store).revisions()) == 1
            assert await told(RevisionStore(gateway.store), lambda runs: len(runs) == 2)
    assert (site.folder / "journal" / "bundles" / "running").read_text().strip() == configured


async def test_what_is_approved_reaches_every_process_and_every_next_start(site) -> None:
    from_store(site)
    async with live(site) as one, live(site) as two:
        store = RevisionStore(one.store)
        approved = await publish(store, sources_with(site, tightened(site)), one.clock.now())
        await until(lambda: one.line.bundle.digest == two.line.bundle.digest == approved.digest)
    # Not what the files say, which nobody changed.
    assert bundle_of(load(site.config)).digest == approved.digest
    async with live(site) as again:
        assert again.line.bundle.digest == approved.digest


async def test_what_is_approved_for_an_instant_comes_into_force_at_it(site) -> None:
    from_store(site)
    async with live(site) as gateway:
        before = gateway.line.bundle.digest
        at = gateway.clock.now() + 700_000
        approved = await publish(RevisionStore(gateway.store), sources_with(site, tightened(site)), at - 700_000, at)
        assert approved.state == "approved"
        assert gateway.line.bundle.digest == before
        await until(lambda: gateway.line.bundle.digest == approved.digest)
        assert gateway.policies.running.since >= at


async def test_what_comes_and_cannot_be_taken_here_is_said_while_there_is_time(site) -> None:
    from_store(site)
    with capture_logs() as logs:
        async with live(site) as gateway:
            now = gateway.clock.now()
            await publish(RevisionStore(gateway.store), sources_with(site, "policy: nonsense"), now, now + DAY)
            await until(lambda: any(one["event"] == "policies:will_be_refused" for one in logs))
            assert gateway.policies.running.refused is None


async def test_a_revision_that_cannot_be_loaded_here_leaves_the_running_one_and_is_said_once(site) -> None:
    from_store(site)
    async with live(site) as gateway:
        before = gateway.line.bundle.digest
        store = RevisionStore(gateway.store)
        approved = await publish(store, sources_with(site, "policy: nonsense"), gateway.clock.now())
        await until(lambda: gateway.policies.running.refused is not None)
        assert gateway.line.bundle.digest == before
        assert gateway.policies.running.refused is not None
        assert gateway.policies.running.refused[0] == approved.digest
        back = await store.roll_back(1, EDITOR, "it does not load", approved.number, DAY)
        assert isinstance(back, Revision), back
        await until(lambda: gateway.policies.running.refused is None)
        assert gateway.line.bundle.digest == before


async def test_a_start_without_the_revisions_decides_by_what_was_in_force_here_last(site, monkeypatch) -> None:
    from_store(site)
    async with live(site) as gateway:
        approved = await publish(RevisionStore(gateway.store), sources_with(site, tightened(site)), gateway.clock.now())
        await until(lambda: gateway.line.bundle.digest == approved.digest)

    async def away(_self):
        raise StoreUnavailable("the store is away")

    with monkeypatch.context() as patch:
        patch.setattr(RevisionStore, "standing", away)
        async with live(site) as gateway:
            assert gateway.line.bundle.digest == approved.digest
            assert gateway.policies.running.refused is not None
        (site.folder / "journal" / "bundles" / "running").unlink()
        gateway = Gateway(load(site.config))
        with pytest.raises(StoreUnavailable):
            await gateway.start()
        assert not gateway.started


async def test_a_bundle_that_was_altered_on_the_disk_is_not_decided_by_and_is_written_anew(site, monkeypatch) -> None:
    from_store(site)
    async with live(site) as gateway:
        digest, texts = gateway.line.bundle.digest, gateway.line.bundle.sources
    file = site.folder / "journal" / "bundles" / f"{digest}.json"
    file.write_text(file.read_text().replace("IR", "KP"))

    async def away(_self):
        raise StoreUnavailable("the store is away")

    with monkeypatch.context() as patch:
        patch.setattr(RevisionStore, "standing", away)
        gateway = Gateway(load(site.config))
        with pytest.raises(StoreUnavailable):
            await gateway.start()
    async with live(site) as gateway:
        assert gateway.line.bundle.digest == digest
        assert gateway.archive.get(digest) == texts


async def test_who_leaves_takes_back_what_it_said(site) -> None:
    async with live(site) as gateway:
        store = RevisionStore(gateway.store)
        async with live(site):
            assert await told(store, lambda runs: len(runs) == 2)
        assert [run.worker for run in await store.runs()] == [gateway.journal.worker]
