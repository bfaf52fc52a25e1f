"""Commands of the project's own upkeep; nothing here is shipped."""
