FROM python:3.11-slim

ENV PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1

WORKDIR /app

# Only wheels whose hashes are locked; the packages first, so that a change of code does not install them again.
COPY requirements/run.txt requirements/run.txt
RUN pip install --require-hashes --only-binary :all: -r requirements/run.txt

COPY LICENSE LICENSE
COPY proxy proxy

# The journal and outbox live on the volume. Configuration is mounted at /app/config and /app/pricing.yaml.
RUN useradd --system --uid 10001 --no-create-home promptlane \
    && install --directory --mode 0700 --owner promptlane /data
VOLUME /data
USER promptlane

ENV PROMPTLANE_DATA=/data \
    PROMPTLANE_HOST=0.0.0.0 \
    PROMPTLANE_PORT=4000
EXPOSE 4000

HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
    CMD ["python", "-c", "import http.client, os; c = http.client.HTTPConnection('127.0.0.1', int(os.environ['PROMPTLANE_PORT']), timeout=2); c.request('GET', '/healthz'); raise SystemExit(c.getresponse().status != 200)"]

# SIGTERM drains for up to 30 s, and what follows takes up to 25 s: stop with `docker stop --time 60`.
ENTRYPOINT ["python", "-m", "proxy.cli"]
CMD ["serve"]
