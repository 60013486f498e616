# The operator and the load tester, as two images of one file:
#
#   docker build --target operator   -t serinus/serinus:0.1.0 .
#   docker build --target loadtester -t serinus/loadtester:0.1.0 .
#
# Both run as user 10001 with a read-only root filesystem; the load tester wants a writable /tmp.
ARG PYTHON=python:3.13-slim

FROM ${PYTHON} AS build
WORKDIR /source
COPY . .
# A virtual environment is copied as a whole; the packages that make it stay behind.
RUN python -m venv --without-pip /opt/serinus \
 && python -m pip --python /opt/serinus install --no-cache-dir --no-compile . \
 && python -m compileall -q /opt/serinus/lib

FROM ${PYTHON} AS base
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 PATH=/opt/serinus/bin:$PATH
COPY --from=build /opt/serinus /opt/serinus
# Nobody's home: Flagger's manifests start programs as ./flagger and ./loadtester.
WORKDIR /home/serinus

FROM base AS loadtester
RUN apt-get update \
 && apt-get install -y --no-install-recommends bash curl hey jq wget \
 && rm -rf /var/lib/apt/lists/* \
 && printf '#!/bin/sh\nexec /opt/serinus/bin/serinus loadtester "$@"\n' > loadtester \
 && chmod 0555 loadtester
USER 10001:10001
EXPOSE 8080
ENTRYPOINT ["./loadtester"]

FROM base AS operator
RUN printf '#!/bin/sh\nexec /opt/serinus/bin/serinus operator "$@"\n' > flagger \
 && chmod 0555 flagger
USER 10001:10001
EXPOSE 8080
ENTRYPOINT ["./flagger"]
