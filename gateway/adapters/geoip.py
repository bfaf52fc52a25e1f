"""The GeoIP editions behind the `Geo` port."""

import geodb  # noqa: F401
