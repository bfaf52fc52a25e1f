"""What the gateway says of real public addresses is what another library reads in the same databases."""

import asyncio
import ipaddress
import json
import random

import geoip2.database
import geoip2.errors
import iptocc

from gateway.adapters.clock import SystemClock
from gateway.app.offline import WhatIf, decide_offline, read_request
from gateway.config import load
from gateway.core.addresses import special_purpose

MANY = 100_000
NO_COUNTRY = {None, "", "EU", "AP", "ZZ"}
"""What registries write where no country is known."""


def public_addresses(count: int) -> list[str]:
    chance = random.Random(4711)
    found: list[str] = []
    while len(found) < count:
        number = chance.getrandbits(32)
        address = ipaddress.ip_address(number)
        if chance.random() < 0.25:
            address = ipaddress.ip_address(0x2A << 120 | chance.getrandbits(24) << 96 | chance.getrandbits(64))
        if special_purpose(str(address)) is None:
            found.append(str(address))
    return found


def test_100_000_decisions_agree_with_geoip2_and_iptocc(site, root) -> None:
    site.config.write_text(site.config.read_text().replace("[geodb]", '[geodb]\ncountry = ["shipped", "rir"]'))
    settings = load(site.config)
    addresses = public_addresses(MANY)
    told: list[bytes] = []
    clock = SystemClock()
    headers = [["host", "h"]]
    requests = [
        read_request(json.dumps({"peer": "127.0.0.1", "headers": [*headers, ["x-forwarded-for", one]]}).encode(), clock)
        for one in addresses
    ]
    asyncio.run(decide_offline(settings, requests, told.append, WhatIf()))
    assert len(told) == MANY

    data = root / "geodb" / "data"
    with (
        geoip2.database.Reader(data / "country.mmdb") as countries,
        geoip2.database.Reader(data / "asn.mmdb") as networks,
    ):
        for address, line in zip(addresses, told, strict=True):
            decision = json.loads(line)
            assert decision["client_ip"]["address"] == address
            expected = {_country(countries, address), iptocc.country_code(address)} - NO_COUNTRY
            assert _said(decision, "country") == expected, address
            assert _said(decision, "asn") == {one for one in (_asn(networks, address),) if one}, address


def _said(decision: dict, fact: str) -> set:
    if fact in decision["facts"]:
        return {decision["facts"][fact]}
    return set(decision["unknown"][fact].get("one_of", ()))


def _country(reader: geoip2.database.Reader, address: str) -> str | None:
    try:
        return reader.country(address).country.iso_code
    except geoip2.errors.AddressNotFoundError:
        return None


def _asn(reader: geoip2.database.Reader, address: str) -> int | None:
    try:
        return reader.asn(address).autonomous_system_number
    except geoip2.errors.AddressNotFoundError:
        return None
