# syntax=docker/dockerfile:1
ARG PYTHON_VERSION=3.13

# The Debian release is named, so that a rebuild does not move to the next one by itself.
FROM python:${PYTHON_VERSION}-slim-trixie AS base
WORKDIR /service
ENV PATH=/venv/bin:$PATH


FROM base AS packages
RUN python -m venv --without-pip /venv
RUN --mount=type=bind,source=requirements.lock,target=/tmp/requirements.lock \
    --mount=type=cache,target=/root/.cache/pip \
    pip --python /venv/bin/python --disable-pip-version-check install --root-user-action=ignore \
        --require-hashes --only-binary=:all: --requirement /tmp/requirements.lock


FROM base
RUN groupadd --gid 10001 app \
    && useradd --uid 10001 --gid app --no-create-home --home-dir /nonexistent \
        --shell /usr/sbin/nologin --no-log-init app \
    && install --directory --owner app --group app --mode 0700 /data
COPY --from=packages /venv /venv
COPY deploy deploy
COPY framework framework
COPY app app
COPY README.md .

# Nothing can be written at run time, so all bytecode is made now: that of the code by compileall,
# that of the standard library (the base image has none; without it each start of Python takes two
# to three times as long) by loading what the service loads. A service that cannot load fails here.
RUN --mount=type=tmpfs,target=/tmp \
    python -m compileall -q app deploy framework \
    && python -c "import http.client" \
    && gunicorn --check-config --config deploy/gunicorn.conf.py
USER 10001:10001

# HOST and METRICS_HOST: only the container's own interfaces; what is published is decided where
# it is started. JOBS_URL: the only folder with files that outlive the container; a volume belongs
# there. MALLOC_ARENA_MAX: the C library's default of eight arenas for each core lets
# threads keep memory that nobody uses.
ENV HOST=0.0.0.0 \
    PORT=8000 \
    METRICS_HOST=0.0.0.0 \
    METRICS_PORT=9000 \
    LOG_FORMAT=json \
    JOBS_URL=sqlite:////data/jobs.sqlite \
    MALLOC_ARENA_MAX=2 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
EXPOSE 8000 9000

# http.client rather than urllib: it takes no notice of proxies set in the environment. The
# time-outs are above READINESS_TIMEOUT, so that a slow dependency is reported and not cut off.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --start-interval=1s --retries=3 CMD \
    ["python", "-c", "import http.client, os; c = http.client.HTTPConnection('127.0.0.1', int(os.environ['PORT']), timeout=4); c.request('GET', '/readyz'); raise SystemExit(c.getresponse().status != 200)"]

# Last, because it changes with each commit and nothing above it has to be built again.
ARG GIT_REVISION=unknown
ENV GIT_REVISION=${GIT_REVISION}
LABEL org.opencontainers.image.title="slipway" \
      org.opencontainers.image.description="A multi-process web service" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.revision="${GIT_REVISION}"

# The exec form: no shell stands between SIGTERM and this process, which replaces itself by gunicorn.
CMD ["python", "-m", "deploy.serve"]
