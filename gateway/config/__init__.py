"""Settings: what the operator decided. The only reader of the environment.

`settings.py` says what there is to decide, its tables in `requests.py`, `knowing.py`, `measuring.py`, `recording.py`,
`sinks.py`, `desk.py`, `upstreams.py`, `serving.py`, `failing.py` and `watching.py`; `values.py` how durations, sizes,
networks and URLs are written; and `reading.py` puts the file, the environment and secret files together, whole or not
at all.
"""

from gateway.config.reading import load
from gateway.config.settings import Settings

__all__ = ["Settings", "load"]
