"""Every kind of place, with real servers."""

from pathlib import Path

from structlog.testing import capture_logs

from gateway.adapters.redis.link import Away, Link
from gateway.adapters.redis.place import Place
from tests.adapters.redis.conftest import PATIENT_S, linked, place, until
from tests.redis_server import RedisServer, Relay, Tls, cluster, running, server_of_this_process, watched_by_a_sentinel


def patient(kind: str, *hosts: int, **more: object) -> Place:
    usual = {"within_s": PATIENT_S, "connect_within_s": PATIENT_S}
    return Place(kind, tuple(("127.0.0.1", port) for port in hosts), **{**usual, **more})


async def asked(link: Link, *command: object) -> object:
    """Return the answer, however often it is away before."""
    answers: list[object] = []

    async def once() -> None:
        try:
            answers.append(await link.ask(*command))
        except Away:
            await until(lambda: link.up)

    while not answers:
        await once()
    return answers[0]


async def test_one_server_speaks_the_third_version_of_the_protocol() -> None:
    async with linked(place(server_of_this_process())) as link:
        assert (await link.ask("HELLO"))[b"proto"] == 3
        assert await link.ask("SET", "place:one", b"\0\xff") in {True, b"OK"}
        assert await link.ask("GETRANGE", "place:one", 0, 0) == b"\0"


async def test_a_password_and_both_certificates_are_shown_and_read_again_at_each_connection(
    certificates: Tls, tmp_path: Path
) -> None:
    secret = tmp_path / "password"
    secret.write_text("wrong\n")
    with running("requirepass correct-horse") as server, capture_logs() as logs:
        async with Relay(server.port, certificates).open() as relay:
            shown = place(
                f"rediss://127.0.0.1:{relay.port}",
                tls=True,
                ca_file=certificates.ca,
                cert_file=certificates.client_cert,
                key_file=certificates.client_key,
                password_file=secret,
            )
            link = Link(shown, chance=lambda: 0.0)
            await link.start()
            try:
                await until(lambda: link.faults)
                assert not link.up
                secret.write_text("correct-horse\n")
                await until(lambda: link.up)
                assert await link.ask("PING")
            finally:
                await link.close()
    assert [log["event"] for log in logs] == ["redis:lost", "redis:found"]
    assert "horse" not in str(logs)


async def test_a_server_that_nobody_vouches_for_and_a_client_without_certificate_are_not_believed(
    certificates: Tls, redis_server: RedisServer
) -> None:
    async with Relay(redis_server.port, certificates).open() as relay:
        for more in ({"cert_file": certificates.client_cert, "key_file": certificates.client_key},
                     {"ca_file": certificates.ca}):  # fmt: skip
            link = Link(place(f"rediss://127.0.0.1:{relay.port}", tls=True, **more), chance=lambda: 0.0)
            await link.start()
            try:
                await until(lambda link=link: link.faults > 1)
                assert not link.up
            finally:
                await link.close()


async def test_a_file_that_is_gone_is_a_fault_like_any_other(tmp_path: Path) -> None:
    link = Link(place("redis://127.0.0.1:1", password_file=tmp_path / "none"), chance=lambda: 0.0)
    with capture_logs() as logs:
        await link.start()
        await until(lambda: link.faults)
        await link.close()
    assert logs[0]["why"].startswith("FileNotFoundError")


async def test_behind_sentinels_the_one_that_took_over_is_found() -> None:
    with watched_by_a_sentinel("gw") as (master, replica, sentinel):
        async with linked(patient("sentinel", 1, sentinel.port, service="gw")) as link:
            await link.ask("SET", "where", master.port)
            master.kill()
            await until(lambda: link.faults)
            assert await asked(link, "SET", "where", replica.port) in {True, b"OK"}
            assert replica.say("GET", "where") == str(replica.port).encode()


async def test_in_a_cluster_each_key_is_asked_where_it_lies() -> None:
    with cluster() as nodes:
        async with linked(patient("cluster", 1, *(node.port for node in nodes))) as link:
            for number in range(30):
                await link.ask("SET", f"gateway:a:{number}", number, "PX", 60_000)
            assert [await link.ask("GETRANGE", f"gateway:a:{number}", 0, 9) for number in range(30)] == [
                str(number).encode() for number in range(30)
            ]
            assert all(node.say("DBSIZE") for node in nodes)
            pubsub = await link.subscription("gateway:bell")
            await link.ask("PUBLISH", "gateway:bell", b"x")
            message = None
            while message is None:
                message = await pubsub.get_message(timeout=PATIENT_S)
            assert message["data"] == b"x"
            await pubsub.aclose()
