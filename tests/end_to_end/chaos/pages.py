"""Write the table of failures into its page: `python -m tests.end_to_end.chaos.pages`."""

from tests.end_to_end.chaos.table import PAGE, page

PAGE.write_text(page())
