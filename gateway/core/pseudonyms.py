"""Keyed digests in place of personal data: whoever has the key finds a customer's decisions, nobody reads who it was.

A decision whose personal data was erased says so: `erased` names what is missing. What its verdict depended on stays,
so that it can be replayed, unless a rule names the account itself.
"""

import hmac
import json
from hashlib import sha256
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any, Final

from gateway.core.addresses import canonical
from gateway.core.errors import ConfigError, SearchError
from gateway.core.search import AddressDigest, Search, is_pseudonym

LEAST_KEY: Final = 32
"""Bytes."""
_OF_IPV4, _OF_IPV6 = 24, 48
_MAPPED: Final = ip_address("::ffff:0.0.0.0")
_DIGITS: Final = 32
"""Hexadecimal ones of a digest: 128 bits."""
_ALWAYS: Final = ("path", "user_agent", "trace")
EVERYTHING: Final = "everything"
"""What is missing where nobody could tell what of a ruling was personal."""


class Pseudonyms:
    """Makes digests with one key. The same key makes the same digests: who loses it finds nobody any more."""

    __slots__ = ("_key",)

    def __init__(self, key: bytes) -> None:
        """Raise ConfigError where the key is too short to keep anything secret."""
        if len(key) < LEAST_KEY:
            raise ConfigError(f"archive.digest_key: a key has {LEAST_KEY} bytes at least, and this one has {len(key)}")
        self._key = key

    @classmethod
    def read(cls, content: bytes) -> "Pseudonyms":
        """Return those of a key as a file holds it, without the end of its line. Raise ConfigError."""
        return cls(content.rstrip(b"\r\n"))

    def account(self, uid: str) -> str:
        """Return what stands in place of an account."""
        return self._digest("account", uid)

    def address(self, text: str) -> str:
        """Return what stands in place of an address."""
        return self._digest("address", canonical(text) or text)

    def network(self, text: str) -> str:
        """Return what names the network (/24, or /48) that an address lies in."""
        plain = canonical(text)
        if plain is None:
            return self._digest("network", text)
        length = _OF_IPV6 if ":" in plain else _OF_IPV4
        return self._digest("network", str(ip_network(f"{plain.partition('%')[0]}/{length}", strict=False)))

    def of_ruling(self, document: bytes) -> bytes:
        """Return a ruling's JSON without personal data; as it is where that was done before."""
        try:
            ruling = json.loads(document)
            if ruling.get("erased"):
                return document
            self._erase(ruling)
            return json.dumps(ruling, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            # Something else wrote it. What nobody can read nobody can say to be without personal data.
            return json.dumps({"erased": [EVERYTHING]}, separators=(",", ":")).encode()

    def of_request(self, request: bytes) -> bytes:
        """Return a request as the journal has it, with its method and its host alone."""
        method, _, host, _ = [*request.split(b"\0", 3), b"", b"", b"", b""][:4]
        return b"\0".join((method, b"", host, b""))

    def of_search(self, search: Search) -> Search:
        """Return the search that finds the same decisions where their personal data was erased.

        Raise SearchError for a network that has no digest.
        """
        account, address = search.account, search.address
        if account is not None and not is_pseudonym(account):
            account = self.account(account)
        if isinstance(address, IPv4Network | IPv6Network):
            address = self._of_network(_as_ipv4(address))
        return search._replace(account=account, address=address)

    def _of_network(self, network: IPv4Network | IPv6Network) -> AddressDigest:
        first = str(network.network_address)
        if network.num_addresses == 1:
            return AddressDigest(self.network(first), self.address(first))
        # `::/48` holds every IPv4 address as well, as archives order them, and no digest says that.
        if network.prefixlen == (_OF_IPV4 if network.version == 4 else _OF_IPV6) and _MAPPED not in network:
            return AddressDigest(self.network(first))
        raise SearchError(
            f"address: `{network}` cannot be looked for where addresses are kept as digests; one address can, and a "
            f"network of {_OF_IPV4} bits (IPv6: {_OF_IPV6}), such as 203.0.113.0/24"
        )

    def _erase(self, ruling: dict[str, Any]) -> None:
        erased = list(_ALWAYS)
        client_ip = ruling["client_ip"]
        if client_ip["address"] is not None:
            address = str(client_ip["address"])
            client_ip |= {"address": self.address(address), "network": self.network(address)}
            erased.append("address")
        if client_ip.get("chain"):
            client_ip["chain"] = []
            erased.append("chain")
        if ruling.get("ambiguous") is not None:
            # It quotes the target.
            ruling["ambiguous"]["detail"] = ""
            erased.append("detail")
        if self._erase_account(ruling.get("facts") or {}, ruling.get("unknown") or {}):
            erased.append("account")
        ruling["erased"] = erased

    def _erase_account(self, known: dict[str, Any], unknown: dict[str, Any]) -> bool:
        one_of = unknown.get("account", {}).get("one_of")
        if one_of:
            digests = [None if one is None else self.account(str(one)) for one in one_of]
            unknown["account"]["one_of"] = sorted(digests, key=lambda one: one or "")
        uid = known.get("account")
        if uid is not None:
            known["account"] = self.account(str(uid))
        return uid is not None or bool(one_of)

    def _digest(self, what: str, text: str) -> str:
        # What it is of stands before it: an account that is called like an address has another digest.
        said = f"{what}\0{text}".encode("utf-8", "surrogatepass")
        return f"hmac:{hmac.new(self._key, said, sha256).hexdigest()[:_DIGITS]}"


def _as_ipv4(network: IPv4Network | IPv6Network) -> IPv4Network | IPv6Network:
    """Return an IPv4-mapped network as the IPv4 one that it is."""
    if isinstance(network, IPv6Network) and network.prefixlen >= 96:
        mapped = network.network_address.ipv4_mapped
        if mapped is not None:
            return IPv4Network((int(mapped), network.prefixlen - 96))
    return network
