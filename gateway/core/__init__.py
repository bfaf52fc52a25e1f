"""The nouns and the small rules. Pure."""
