"""Country codes that are countries, and what stands in databases where a country should."""

from typing import Final

_ASSIGNED: Final = (
    "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ CA "
    "CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA "
    "GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP "
    "KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS "
    "MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS "
    "RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW "
    "TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS XK YE YT ZA ZM ZW"
)
COUNTRIES: Final = frozenset(_ASSIGNED.split())
"""ISO 3166-1 alpha-2, and XK, by which every database means Kosovo."""

PLACEHOLDERS: Final = {
    "EU": "somewhere in Europe",
    "AP": "somewhere in Asia or the Pacific",
    "AN": "Netherlands Antilles, withdrawn in 2010",
    "ZZ": "unknown",
    "XX": "unknown",
    "T1": "the Tor network",
    "A1": "an anonymous proxy",
    "A2": "a satellite provider",
    "O1": "another country",
    "??": "unknown",
}
"""Codes that databases write where they do not know the country. Anything else that ISO does not assign is one too."""

NOTHING: Final = frozenset({"", "-", "--"})
"""Ways of writing that there is no country at all."""


def placeholder(code: str) -> str:
    """Return what a code that is not a country stands for, in words."""
    meaning = PLACEHOLDERS.get(code)
    return f"`{code[:16]}` is {meaning}" if meaning else f"`{code[:16]}` is not a country code of ISO 3166-1"
