"""Wheels in which the modules that every request passes are compiled, by mypyc, from the same source.

Off unless `GATEWAY_COMPILE=1`, and never for an editable install: a checkout runs its sources. The sources are in a
compiled wheel too; Python prefers the extension module that lies beside one.

    GATEWAY_COMPILE=1 pip wheel --no-deps .     a compiled wheel, for this Python on this kind of machine
    python hatch_build.py                       exit 1, with a line that says what this machine lacks to make one
"""

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

HOT = (
    "gateway/adapters/clock.py",
    "gateway/adapters/tail.py",
    "gateway/core/headers.py",
    "gateway/core/request.py",
    "gateway/enforce/forward_auth.py",
    "gateway/enforce/http_answer.py",
    "gateway/enforce/http_protocol.py",
    "gateway/enforce/http_scope.py",
    "gateway/enforce/middleware.py",
    "gateway/enforce/proxy_connection.py",
    "gateway/enforce/proxy_direct.py",
    "gateway/enforce/proxy_exchange.py",
    "gateway/enforce/proxy_headers.py",
    "gateway/enforce/proxy_pool.py",
    "gateway/enforce/question.py",
    "gateway/ports.py",
    "gateway/service/ids.py",
    "gateway/service/pipeline.py",
    "gateway/service/reading.py",
)
"""What a request like an earlier one passes. Compiled together: calls among these are C calls."""

SCORING = (
    "gateway/core/anomaly.py",
    "gateway/core/anomaly_fit.py",
    "gateway/core/everyone.py",
    "gateway/core/forgetting.py",
    "gateway/core/login.py",
    "gateway/core/profile.py",
    "gateway/core/profile_state.py",
    "gateway/core/sketch.py",
    "gateway/core/withdrawal_context.py",
    "gateway/service/backtest.py",
    "gateway/service/history.py",
    "gateway/service/shelf.py",
    "gateway/service/simple_rules.py",
)
"""What each login and withdrawal passes that is scored, most of all in a back-test."""

COMPILED = (*HOT, *SCORING)

SWITCH = "GATEWAY_COMPILE"


def lacking() -> str | None:
    """Return what this machine lacks to compile, in a line; None where it has everything."""
    compiler = (os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc").split()[0]
    if shutil.which(compiler) is None:
        return f"no C compiler: `{compiler}` is not on PATH (on Debian and Ubuntu: apt-get install gcc libc6-dev)"
    header = Path(sysconfig.get_path("include"), "Python.h")
    if not header.is_file():
        return f"no headers of this Python: there is no {header} (on Debian and Ubuntu: apt-get install python3-dev)"
    for name in ("mypyc", "setuptools"):
        if find_spec(name) is None:
            return f"no {name}: pip install --requirement requirements/build.txt"
    return None


def compiled(root: Path, folder: Path) -> list[str]:
    """Return the paths of the extension modules, made in the empty `folder` from the sources under `root`.

    Raise SystemExit, with what the compiler said, where that fails.
    """
    shutil.copytree(root / "gateway", folder / "gateway", ignore=shutil.ignore_patterns("__pycache__", "*.so"))
    # Types that only an installed requirement knows make no difference to what is compiled: they are `Any` where it
    # is not installed. Whether all types fit is asked by `./run lint`.
    done = subprocess.run(
        [sys.executable, "-m", "mypyc", "--ignore-missing-imports", *COMPILED],
        cwd=folder,
        env={
            **os.environ,
            "MYPYC_OPT_LEVEL": "3",
            "MYPYC_DEBUG_LEVEL": "0",
            # A score is the same number wherever it is made: no multiplication is fused with an addition.
            "CFLAGS": f"{os.environ.get('CFLAGS', '')} -ffp-contract=off",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    shutil.rmtree(folder / "build", ignore_errors=True)
    found = sorted(path.relative_to(folder).as_posix() for path in folder.rglob(f"*{suffix}"))
    if done.returncode != 0 or not {name.removesuffix(".py") + suffix for name in COMPILED} <= set(found):
        raise SystemExit(f"{done.stdout[-4_000:]}\nhatch_build: mypyc could not compile the hot path; see above")
    return found


class CompiledHotPath(BuildHookInterface[Any]):
    """Puts the extension modules into the wheel, beside the sources."""

    _made: "tempfile.TemporaryDirectory[str] | None" = None

    def dependencies(self) -> list[str]:
        """Return what a build in an environment of its own needs besides hatchling."""
        return ["mypy>=2.4", "setuptools>=80"] if os.environ.get(SWITCH) == "1" else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, where that is asked for. Raise SystemExit where it cannot be done."""
        asked = os.environ.get(SWITCH, "")
        if asked not in {"", "0", "1"}:
            raise SystemExit(f"hatch_build: {SWITCH} is `{asked}`; it is 1 to compile the hot path, 0 not to")
        if asked != "1" or version == "editable":
            return
        missing = lacking()
        if missing is not None:
            raise SystemExit(f"hatch_build: {SWITCH}=1, and this machine cannot compile: {missing}")
        self._made = tempfile.TemporaryDirectory(prefix="gateway-compiled-")
        folder = Path(self._made.name)
        for name in compiled(Path(self.root), folder):
            build_data["force_include"][str(folder / name)] = name
        build_data["pure_python"] = False
        build_data["infer_tag"] = True

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove what was made on the way."""
        if self._made is not None:
            self._made.cleanup()


if __name__ == "__main__":
    sys.exit(lacking())
