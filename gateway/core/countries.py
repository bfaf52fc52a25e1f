"""Country and subdivision codes that policies may name: ISO 3166-1 and 3166-2, with Kosovo's XK."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from gateway.core.subdivisions import SUBDIVISIONS

# The continents are those of GeoNames, which GeoIP databases follow: Cyprus and Russia are EU, Turkey and the
# Caucasus AS, East Timor and Christmas Island OC.
_BY_CONTINENT: Final = {
    "AF": "AO BF BI BJ BW CD CF CG CI CM CV DJ DZ EG EH ER ET GA GH GM GN GQ GW KE KM LR LS LY MA MG ML MR MU MW MZ NA "
    "NE NG RE RW SC SD SH SL SN SO SS ST SZ TD TG TN TZ UG YT ZA ZM ZW",
    "AN": "AQ BV GS HM TF",
    "AS": "AE AF AM AZ BD BH BN BT CC CN GE HK ID IL IN IO IQ IR JO JP KG KH KP KR KW KZ LA LB LK MM MN MO MV MY NP OM "
    "PH PK PS QA SA SG SY TH TJ TM TR TW UZ VN YE",
    "EU": "AD AL AT AX BA BE BG BY CH CY CZ DE DK EE ES FI FO FR GB GG GI GR HR HU IE IM IS IT JE LI LT LU LV MC MD ME "
    "MK MT NL NO PL PT RO RS RU SE SI SJ SK SM UA VA XK",
    "NA": "AG AI AW BB BL BM BQ BS BZ CA CR CU CW DM DO GD GL GP GT HN HT JM KN KY LC MF MQ MS MX NI PA PM PR SV SX TC "
    "TT US VC VG VI",
    "OC": "AS AU CK CX FJ FM GU KI MH MP NC NF NR NU NZ PF PG PN PW SB TK TL TO TV UM VU WF WS",
    "SA": "AR BO BR CL CO EC FK GF GY PE PY SR UY VE",
}

CONTINENT_OF: Final[Mapping[str, str]] = MappingProxyType(
    {country: continent for continent, countries in _BY_CONTINENT.items() for country in countries.split()}
)
"""Every country code that a condition may name, and its continent: AF AN AS EU NA OC SA."""

WITHDRAWN: Final[Mapping[str, str]] = MappingProxyType(
    {
        "AN": "BQ, CW or SX",
        "BU": "MM",
        "CS": "CZ or SK (until 1993), ME or RS (until 2006)",
        "CT": "KI",
        "DD": "DE",
        "DY": "BJ",
        "FQ": "AQ or TF",
        "FX": "FR",
        "HV": "BF",
        "JT": "UM",
        "MI": "UM",
        "NH": "VU",
        "NQ": "AQ",
        "NT": "IQ or SA",
        "PC": "FM, MH, MP or PW",
        "PU": "UM",
        "PZ": "PA",
        "RH": "ZW",
        "SU": "one of its successors, such as RU or UA",
        "TP": "TL",
        "VD": "VN",
        "WK": "UM",
        "YD": "YE",
        "YU": "BA, HR, ME, MK, RS or SI",
        "ZR": "CD",
    }
)
"""Codes that ISO 3166-3 lists as formerly used and that nobody else was given since, and what replaced them."""

RESERVED: Final[Mapping[str, str]] = MappingProxyType({"EL": "GR", "UK": "GB"})
"""Codes in common use that ISO 3166-1 does not assign, and the code that it does."""

US_TERRITORIES: Final[frozenset[str]] = frozenset({"AS", "GU", "MP", "PR", "UM", "VI"})
"""Places of the United States that have a country code of their own."""


def is_country(code: str) -> bool:
    """Return whether `code` is an assigned ISO 3166-1 alpha-2 code, or XK."""
    return code in CONTINENT_OF


def is_subdivision(code: str) -> bool:
    """Return whether `code` is an ISO 3166-2 code such as `US-NY`."""
    country, _, rest = code.partition("-")
    return rest in SUBDIVISIONS.get(country, "").split()
