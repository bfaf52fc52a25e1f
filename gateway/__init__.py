"""An access-control and geofencing gateway: which operations may this customer perform, from here, now."""
