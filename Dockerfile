FROM python:3.12-slim AS build
WORKDIR /src
COPY . .
RUN pip wheel --no-cache-dir --constraint constraints.txt --wheel-dir /wheels .

FROM python:3.12-slim
COPY --from=build /wheels /wheels
RUN pip install --no-cache-dir --no-index --find-links /wheels tocsin && rm -r /wheels && useradd --create-home tocsin
USER tocsin
WORKDIR /home/tocsin
# Beyond loopback Tocsin starts only with TOCSIN_TOKENS, client certificates, or TOCSIN_INSECURE=yes (SECURITY.md).
ENV TOCSIN_HOST=0.0.0.0
EXPOSE 9099
ENTRYPOINT ["tocsin"]
CMD ["up"]
