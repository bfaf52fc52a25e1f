"""The policy language. Pure: text and facts in, verdicts out."""
