# syntax=docker/dockerfile:1

# The gateway as an image, its hot path compiled: no compiler, no pip, no shell tools of its own; it writes to /var/lib/gateway alone, so the
# root file system may be read-only. Run it with a configuration and a volume:
#
#   docker run --read-only --tmpfs /tmp -p 8080:8080 \
#     -v ./gateway.toml:/etc/gateway/gateway.toml:ro -v gateway:/var/lib/gateway IMAGE

FROM python:3.11-slim-bookworm AS build
WORKDIR /src
# What is compiled here is all that is kept of it, so the compiler's version is the base image's affair.
# hadolint ignore=DL3008
RUN apt-get update && apt-get install --yes --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
RUN python -m venv --without-pip /opt/gateway
# The requirements by themselves first: this layer stays while only the code changes.
COPY requirements/image.txt requirements/build.txt requirements/
RUN --mount=type=cache,target=/root/.cache/pip \
    pip --python /opt/gateway/bin/python install --require-hashes --requirement requirements/image.txt \
    && pip install --require-hashes --requirement requirements/build.txt
COPY pyproject.toml hatch_build.py README.md LICENSE ./
COPY geodb geodb
COPY gateway gateway
RUN GATEWAY_COMPILE=1 pip wheel --no-cache-dir --no-index --no-deps --no-build-isolation --wheel-dir /dist . \
    && pip --python /opt/gateway/bin/python install --no-cache-dir --no-index --no-deps /dist/*.whl

FROM python:3.11-slim-bookworm
COPY --from=build /opt/gateway /opt/gateway
# A number, so that Kubernetes can see that it is not root without asking the image.
RUN install --directory --owner=10001 --group=10001 --mode=0700 /var/lib/gateway
USER 10001:10001
VOLUME /var/lib/gateway
WORKDIR /var/lib/gateway
ENV PATH=/opt/gateway/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    GATEWAY_CONFIG=/etc/gateway/gateway.toml \
    GATEWAY_SERVER__HOST=0.0.0.0 \
    GATEWAY_SERVER__PORT=8080 \
    GATEWAY_STORE__URL=sqlite:////var/lib/gateway/gateway.db \
    GATEWAY_JOURNAL__DIRECTORY=/var/lib/gateway/journal
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import os, socket; socket.create_connection(('127.0.0.1', int(os.environ['GATEWAY_SERVER__PORT'])), 3).close()"]
ENTRYPOINT ["gateway"]
CMD ["serve"]
