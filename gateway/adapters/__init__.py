"""What talks to the world: files, databases, keys, clocks."""
