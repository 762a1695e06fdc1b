# One image for both: `bridge serve` (the default) and `consumers run badges`. Python 3.11 or newer.
ARG BASE_IMAGE=python:3.12-slim

FROM ${BASE_IMAGE} AS base
ENV PATH=/opt/im-bridge/bin:$PATH


# What changes seldom: the dependencies, exactly those of the lock file.
FROM base AS dependencies
ENV PIP_ROOT_USER_ACTION=ignore PIP_DISABLE_PIP_VERSION_CHECK=1
# A package index in place of pip's default.
ARG PIP_INDEX_URL
COPY requirements/uv.txt requirements/production.txt /requirements/
# With uv in seconds; with pip in minutes, where uv is not to be had or finds no way.
RUN --mount=type=cache,target=/root/.cache \
    python -m venv --without-pip /opt/im-bridge \
 && python -m venv --without-pip /opt/uv \
 && locked="install --require-hashes --only-binary :all: -r /requirements" \
 && { pip --python /opt/uv/bin/python $locked/uv.txt \
   && env UV_LINK_MODE=copy ${PIP_INDEX_URL:+UV_DEFAULT_INDEX="$PIP_INDEX_URL"} \
        /opt/uv/bin/uv pip $locked/production.txt --python /opt/im-bridge/bin/python \
   || pip --python /opt/im-bridge/bin/python $locked/production.txt; }


# What changes often: the project, as a wheel.
FROM dependencies AS project
ARG PIP_INDEX_URL
COPY requirements/build.txt /requirements/
RUN --mount=type=cache,target=/root/.cache/pip \
    python -m venv --without-pip /opt/build \
 && pip --python /opt/build/bin/python install --require-hashes -r /requirements/build.txt
COPY . /src
RUN pip --python /opt/build/bin/python wheel --no-deps --no-build-isolation --no-index --wheel-dir /wheels /src


FROM base
# Numbers, so that an orchestrator sees that this is not root, whatever the base image calls its users.
RUN echo 'bridge:x:10001:10001::/var/lib/bridge:/sbin/nologin' >>/etc/passwd \
 && echo 'bridge:x:10001:' >>/etc/group \
 && mkdir -m 0700 /var/lib/bridge \
 && chown 10001:10001 /var/lib/bridge
COPY --from=dependencies /opt/im-bridge /opt/im-bridge
# Starting both commands shows that they do start, and compiles what they use of the standard library.
RUN --mount=type=bind,from=project,source=/wheels,target=/wheels \
    pip --python /opt/im-bridge/bin/python --no-cache-dir --disable-pip-version-check \
        install --root-user-action=ignore --no-deps --no-index /wheels/*.whl \
 && bridge settings >/dev/null && consumers settings >/dev/null

# What of the image cannot be known from the source is given by who builds it: `--build-arg REVISION=$(git rev-parse HEAD)`.
ARG REVISION=""
ARG CREATED=""
ARG SOURCE=""
ARG BASE_IMAGE
LABEL org.opencontainers.image.title="im-bridge" \
      org.opencontainers.image.description="Tencent Cloud IM callbacks, durably on a Kafka topic" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.vendor="the im-bridge authors" \
      org.opencontainers.image.base.name="${BASE_IMAGE}" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}"

USER 10001:10001
WORKDIR /var/lib/bridge
ENV BRIDGE_JOURNAL_DIR=/var/lib/bridge
EXPOSE 8080 9090
CMD ["bridge", "serve"]
