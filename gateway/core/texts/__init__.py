"""What customers read, in each language: one file of texts for each. English reasons stand in `core.reply`."""
