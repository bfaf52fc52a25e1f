"""Archives of decisions: what the journal holds, taken exactly once, and found again."""
