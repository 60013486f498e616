# The operator and the load tester, as two images of one file (docs/image.md):
#
#   docker build --target operator   -t serinus/serinus:0.1.0 .
#   docker build --target loadtester -t serinus/loadtester:0.1.0 .
#
# Both run as user 10001 with a read-only root filesystem; the load tester wants a writable /tmp.
#
# Debian-like bases with the same Python at the same path. Only BUILDER has to have pip.
ARG BUILDER=python:3.13-slim
ARG RUNTIME=python:3.13-slim

FROM ${BUILDER} AS build
WORKDIR /source
COPY . .
# A virtual environment is copied as a whole; the packages that make it stay behind, and so do the
# secrets: a package index of one's own, and the CA to trust for it.
# What is compiled is not checked against the times of its sources, which registries may change.
# Models of every Kubernetes kind are not compiled: that is 48 MB of modules never imported.
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf \
    --mount=type=secret,id=ca.pem \
    python -m venv --without-pip /opt/serinus \
 && python -m pip --python /opt/serinus install --no-cache-dir --no-compile . \
 && python -m compileall -q --invalidation-mode unchecked-hash \
    -x '/kubernetes/(aio/)?client/(api|models)/' /opt/serinus/lib

FROM ${RUNTIME} AS base
LABEL org.opencontainers.image.version=0.1.0 \
      org.opencontainers.image.licenses=Apache-2.0
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 PATH=/opt/serinus/bin:$PATH
COPY --from=build /opt/serinus /opt/serinus
# Nobody's home: Flagger's manifests start programs as ./flagger and ./loadtester.
WORKDIR /home/serinus

FROM base AS loadtester
LABEL org.opencontainers.image.title="Serinus load tester"
RUN apt-get update \
 && apt-get install -y --no-install-recommends bash curl hey jq wget \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/apt /var/log/dpkg.log \
 && printf '#!/bin/sh\nexec /opt/serinus/bin/serinus loadtester "$@"\n' > loadtester \
 && chmod 0555 loadtester
USER 10001:10001
EXPOSE 9090
ENTRYPOINT ["./loadtester"]

FROM base AS operator
LABEL org.opencontainers.image.title="Serinus operator"
RUN printf '#!/bin/sh\nexec /opt/serinus/bin/serinus operator "$@"\n' > flagger \
 && chmod 0555 flagger
USER 10001:10001
EXPOSE 8080
ENTRYPOINT ["./flagger"]
