"""The countries of the pretend exchange: how many customers, which cities, how they connect.

The weights and the shares are assumptions, and the places are real only so far that distances are plausible.
"""

from typing import Final, NamedTuple


class City(NamedTuple):
    """A place where customers live."""

    country: str
    subdivision: str
    lat: float
    lon: float


class Country(NamedTuple):
    """A country of customers."""

    code: str
    weight: int
    """Customers in a thousand."""
    offset_h: float
    """What its clocks are ahead of UTC, roughly."""
    v6: float
    """Home lines with IPv6."""
    apple: float
    """Devices made by Apple."""
    fixed: int
    """Operators of home lines."""
    mobile: int
    """Mobile carriers."""
    cities: tuple[City, ...]


_TABLE: Final = """\
US 140 -6  .60 .55 6 3 NY 40.71 -74.01, CA 34.05 -118.24, IL 41.88 -87.63, TX 29.76 -95.37, FL 25.76 -80.19
IN  90 5.5 .65 .12 5 3 MH 19.08 72.88, DL 28.61 77.21, KA 12.97 77.59, TN 13.08 80.27, WB 22.57 88.36, TS 17.39 78.49
BR  70 -3  .45 .18 5 4 SP -23.55 -46.63, RJ -22.91 -43.17, MG -19.92 -43.94, BA -12.97 -38.50, RS -30.03 -51.22
TR  60 3   .12 .25 4 3 34 41.01 28.98, 06 39.93 32.86, 35 38.42 27.14, 16 40.19 29.06, 07 36.90 30.70
VN  60 7   .50 .28 4 3 SG 10.82 106.63, HN 21.03 105.85, DN 16.05 108.20, HP 20.86 106.68, CT 10.05 105.75
NG  40 1   .05 .12 4 4 LA 6.52 3.38, FC 9.08 7.40, KN 12.00 8.52, RI 4.82 7.05, OY 7.38 3.95
ID  45 7   .12 .14 4 4 JK -6.21 106.85, JI -7.26 112.75, JB -6.91 107.61, SU 3.60 98.67, BA -8.65 115.22
PH  35 8   .12 .18 3 2 00 14.60 120.98, CEB 10.32 123.89, DAS 7.07 125.61, PAM 15.03 120.69
DE  40 1   .70 .38 5 3 BE 52.52 13.40, HH 53.55 9.99, BY 48.14 11.58, NW 50.94 6.96, HE 50.11 8.68, SN 51.34 12.37
FR  30 1   .75 .36 4 4 IDF 48.86 2.35, PAC 43.30 5.37, ARA 45.76 4.84, OCC 43.60 1.44, HDF 50.63 3.06
GB  40 0   .45 .48 5 4 ENG 51.51 -0.13, ENG 53.48 -2.24, SCT 55.95 -3.19, WLS 51.48 -3.18, NIR 54.60 -5.93
ES  25 1   .08 .28 4 4 MD 40.42 -3.70, CT 41.39 2.17, AN 37.39 -5.98, VC 39.47 -0.38, PV 43.26 -2.93
IT  25 1   .12 .32 5 4 RM 41.90 12.50, MI 45.46 9.19, NA 40.85 14.27, TO 45.07 7.69, PA 38.12 13.36
PT  15 0   .40 .30 3 3 11 38.72 -9.14, 13 41.15 -8.61, 03 41.55 -8.42, 08 37.02 -7.93
NL  15 1   .45 .40 3 3 NH 52.37 4.90, ZH 51.92 4.48, UT 52.09 5.12, NB 51.44 5.47
PL  20 1   .18 .18 5 4 14 52.23 21.01, 12 50.06 19.94, 22 54.35 18.65, 02 51.11 17.04, 30 52.41 16.93
UA  25 2   .08 .24 5 3 30 50.45 30.52, 46 49.84 24.03, 51 46.48 30.73, 63 49.99 36.23, 12 48.46 35.05
JP  30 9   .55 .60 4 3 13 35.68 139.69, 27 34.69 135.50, 23 35.18 136.91, 01 43.06 141.35, 40 33.59 130.40
KR  40 9   .15 .30 3 3 11 37.57 126.98, 26 35.18 129.08, 27 35.87 128.60, 28 37.46 126.71, 29 35.16 126.85
AU  20 10  .35 .52 5 3 NSW -33.87 151.21, VIC -37.81 144.96, QLD -27.47 153.03, WA -31.95 115.86, SA -34.93 138.60
CA  25 -5  .40 .52 4 3 ON 43.65 -79.38, QC 45.50 -73.57, BC 49.28 -123.12, AB 51.05 -114.07, MB 49.90 -97.14
MX  25 -6  .45 .22 4 3 CMX 19.43 -99.13, JAL 20.67 -103.35, NLE 25.69 -100.32, PUE 19.04 -98.20, BCN 32.51 -117.04
AR  25 -3  .20 .14 4 3 C -34.60 -58.38, X -31.42 -64.18, S -32.95 -60.64, M -32.89 -68.84, T -26.82 -65.22
ZA  15 2   .10 .20 4 4 GP -26.20 28.05, WC -33.92 18.42, KZN -29.86 31.03, EC -33.96 25.60
AE  10 4   .40 .45 2 2 DU 25.20 55.27, AZ 24.45 54.38, SH 25.35 55.39
TH  25 7   .45 .30 4 3 10 13.76 100.50, 50 18.79 98.99, 83 7.89 98.40, 40 16.43 102.83, 20 13.36 100.98
PK  10 5   .06 .08 4 4 SD 24.86 67.01, PB 31.55 74.34, IS 33.68 73.05, KP 34.01 71.58
"""


def _read(line: str) -> Country:
    code, weight, offset, v6, apple, fixed, mobile, rest = line.split(maxsplit=7)
    cities = []
    for place in rest.split(", "):
        subdivision, lat, lon = place.split()
        cities.append(City(code, f"{code}-{subdivision}", float(lat), float(lon)))
    return Country(code, int(weight), float(offset), float(v6), float(apple), int(fixed), int(mobile), tuple(cities))


COUNTRIES: Final = tuple(_read(line) for line in _TABLE.splitlines())
CITIES: Final = tuple(city for country in COUNTRIES for city in country.cities)
