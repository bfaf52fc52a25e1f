"""GeoIP editions: reading, building and replacing databases of addresses."""
