"""Write the pages again, after a change of wording: `python -m tests.corpus.explanations`. Then read what changed."""

from tests.corpus.explanations.pages import write

write()
