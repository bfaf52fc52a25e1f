"""The admin REST API: recorded decisions found and explained for programs and desks that hold a token."""
