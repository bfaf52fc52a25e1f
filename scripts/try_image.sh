#!/bin/sh
# Builds the image with buildah and runs it as it shall be run: as its own user, on a read-only root file system.
# Wants root, buildah, curl, and unshare and chroot of Debian. Where no registry can be reached, `--debian-base` makes a
# stand-in for the base image first, by debootstrap: Debian's Python 3.11 with its headers.
#
#   sudo scripts/try_image.sh [--debian-base]
set -eu

cd "$(dirname -- "$0")/.."
export BUILDAH_ISOLATION=chroot STORAGE_DRIVER=vfs
base=docker.io/library/python:3.11-slim-bookworm
work=$(mktemp -d)
container=
served=
cleanup() {
    [ -z "$served" ] || kill "$served" 2>/dev/null || true
    [ -z "$container" ] || buildah rm "$container" >/dev/null
    rm -rf "$work"
}
trap cleanup EXIT

if [ "${1-}" = --debian-base ]; then
    debootstrap --variant=minbase --include=python3-dev,python3-venv,python3-pip,ca-certificates bookworm "$work/base"
    rm -f "$work"/base/usr/lib/python3.11/EXTERNALLY-MANAGED
    ln -s python3 "$work/base/usr/bin/python"
    # What this machine needs to reach packages, a stand-in needs too.
    cp /etc/ssl/certs/ca-certificates.crt "$work/base/etc/ssl/certs/"
    if [ -f /etc/pip.conf ]; then cp /etc/pip.conf "$work/base/etc/"; fi
    made=$(buildah from scratch)
    buildah add --quiet "$made" "$work/base" /
    buildah commit --quiet --rm "$made" "$base"
fi

buildah build --format docker --pull=ifmissing --layers --tag gateway:tried .
container=$(buildah from --pull-never gateway:tried)
root=$(buildah mount "$container")
mkdir -m 0700 "$work/var"
cat >"$work/var/gateway.toml" <<'END'
[client_ip]
trusted_proxies = []
private_clients = ["127.0.0.0/8"]

[geodb]
overrides = { "127.0.0.0/8" = { country = "PT" } }

[upstream]
url = "http://127.0.0.1:9"
END
chown -R 10001:10001 "$work/var"

port=$(python3 -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])')
# shellcheck disable=SC2016 # expanded by the inner shell
unshare --mount sh -eu -c '
    mount --bind "$1" "$1"
    mount -o remount,ro,bind "$1"
    mount --bind /proc "$1/proc"
    mount -t tmpfs tmpfs "$1/tmp"
    mount --bind "$2" "$1/var/lib/gateway"
    exec env -i PATH=/opt/gateway/bin:/usr/bin:/bin PYTHONDONTWRITEBYTECODE=1 \
        GATEWAY_CONFIG=/var/lib/gateway/gateway.toml GATEWAY_SERVER__HOST=127.0.0.1 GATEWAY_SERVER__PORT="$3" \
        GATEWAY_STORE__URL=sqlite:////var/lib/gateway/gateway.db GATEWAY_JOURNAL__DIRECTORY=/var/lib/gateway/journal \
        /usr/sbin/chroot --userspec=10001:10001 "$1" gateway serve
' sh "$root" "$work/var" "$port" 2>"$work/log" &
served=$!

answer=$(curl --silent --retry 60 --retry-delay 1 --retry-connrefused --max-time 90 --output /dev/null \
    --write-out '%{http_code}' -X POST "http://127.0.0.1:$port/api/v1/withdrawals" || true)
kill -TERM "$served" || true
wait "$served" || true
served=
cat "$work/log"
# Nobody is signed in and nothing maps the path, so the answer is a refusal of the gateway's own.
if [ "$answer" != 401 ]; then
    echo "try_image: a withdrawal of nobody was answered $answer, not 401" >&2
    exit 1
fi
grep -q 'gateway:stopped' "$work/log" || {
    echo 'try_image: it did not stop by itself on SIGTERM' >&2
    exit 1
}
echo "try_image: built, runs as 10001 with a read-only root, answers, stops"
