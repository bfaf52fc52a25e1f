"""How fast the gateway is, as ratios to what it is compared with in the same run."""
