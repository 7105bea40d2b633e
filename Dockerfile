FROM python:3.12-slim AS build
WORKDIR /src
COPY . .
RUN pip wheel --no-cache-dir --constraint constraints.txt --wheel-dir /wheels .

FROM python:3.12-slim
COPY --from=build /wheels /wheels
# The user is a number, so that Kubernetes can tell that it is not root.
RUN pip install --no-cache-dir --no-index --find-links /wheels tocsin && rm -r /wheels \
    && useradd --uid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin tocsin \
    && install --directory --owner 10001 --group 10001 --mode 0700 /var/lib/tocsin
USER 10001:10001
WORKDIR /var/lib/tocsin
VOLUME /var/lib/tocsin
# Beyond loopback Tocsin starts only with TOCSIN_TOKENS, client certificates, or TOCSIN_INSECURE=yes (SECURITY.md).
# The root file system may be read-only: what is written is the volume, and what Faust keeps in /tmp.
ENV TOCSIN_HOST=0.0.0.0 \
    TOCSIN_BROKER=embedded:/var/lib/tocsin/journal \
    PYTHONDONTWRITEBYTECODE=1
EXPOSE 9099
# Of `up` and `bridge`. A worker or notifier has no bridge: name its TOCSIN_METRICS_PORT, as docker-compose.yml does.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:9099/readyz', timeout=4)"]
ENTRYPOINT ["tocsin"]
CMD ["up"]
