"""What several gateways share beside the store: a bell, and a cache. Neither is ever the truth."""
