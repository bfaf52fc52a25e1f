"""The GeoIP editions behind the `Geo` port. Nothing else of the gateway sees `geodb`, but through here."""

from gateway.adapters.geoip.editions import GeoIP, Refreshed, faults
from gateway.adapters.geoip.overrides import Override
from geodb.build import Built, Kind, build
from geodb.datasets import SHIPPED, Dataset, licence_of, record
from geodb.edition import Edition
from geodb.fetch import fetch, is_address
from geodb.networks import NetworkList
from geodb.reader import Reader
from geodb.record import Field, GeoRecord, Missing
from geodb.update import LARGEST_CHANGE, Report, Share, update

__all__ = [
    "LARGEST_CHANGE",
    "SHIPPED",
    "Built",
    "Dataset",
    "Edition",
    "Field",
    "GeoIP",
    "GeoRecord",
    "Kind",
    "Missing",
    "NetworkList",
    "Override",
    "Reader",
    "Refreshed",
    "Report",
    "Share",
    "build",
    "faults",
    "fetch",
    "is_address",
    "licence_of",
    "record",
    "update",
]
