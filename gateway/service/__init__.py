"""The line: what a request passes through, and how a decision is made again."""
