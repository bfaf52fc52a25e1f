"""`gateway risk`: what the anomaly score would have done to a recorded history, and pretend histories to try it on."""

import typer

app = typer.Typer(help="Risk: try the anomaly score on histories before it holds anything.", no_args_is_help=True)


@app.callback()
def risk() -> None:
    """Risk: try the anomaly score on histories before it holds anything."""
