"""People's work: tickets, the holds that are one thing with them, and the time that is owed. Pure."""
