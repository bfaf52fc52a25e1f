"""wrk as the load generator: the script that gives it our requests, and its answer as a `Load`."""

import json
import subprocess
from pathlib import Path

from benchmarks.ratios import Load

MARK = "gateway-bench "

SCRIPT = """\
local requests = {}
local next_one = 0

function init(args)
  local file = assert(io.open(args[1], "rb"))
  local data = file:read("*a")
  file:close()
  local at = 1
  while at <= #data do
    local a, b, c, d = data:byte(at, at + 3)
    local length = ((a * 256 + b) * 256 + c) * 256 + d
    requests[#requests + 1] = data:sub(at + 4, at + 3 + length)
    at = at + 4 + length
  end
  next_one = tonumber(args[2]) % #requests
end

function request()
  next_one = next_one % #requests + 1
  return requests[next_one]
end

function done(summary, latency, _)
  local e = summary.errors
  io.write(string.format(
    'MARK{"requests": %d, "seconds": %.6f, "wrong": %d, "p50_ms": %.4f, "p99_ms": %.4f}\\n',
    summary.requests, summary.duration / 1e6, e.connect + e.read + e.write + e.status + e.timeout,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
""".replace("MARK", MARK)


def run(wrk: str, port: int, requests: Path, *, connections: int, seconds: int, start: int = 0) -> Load:
    """Return what wrk saw in `seconds`, sending the requests of the file in turn from number `start` on."""
    script = requests.with_suffix(".lua")
    if not script.exists():
        script.write_text(SCRIPT)
    command = [wrk, "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s", "-s", str(script)]
    ended = subprocess.run(
        [*command, f"http://127.0.0.1:{port}/", "--", str(requests), str(start)],
        capture_output=True,
        text=True,
        timeout=seconds + 30,
        check=False,
    )
    return parse(ended.stdout, ended.stderr)


def parse(printed: str, complaints: str = "") -> Load:
    """Return the line that our script printed; stop with wrk's own words when there is none."""
    for line in printed.splitlines():
        if line.startswith(MARK):
            return Load(**json.loads(line.removeprefix(MARK)))
    raise SystemExit(f"benchmark: wrk gave no result: {complaints.strip() or printed.strip() or 'it said nothing'}")
