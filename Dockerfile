# The broker's processes (gate, control, console) in one image. The command chooses which.
# syntax=docker/dockerfile:1

FROM python:3.13-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
RUN python -m venv /opt/solesource
COPY requirements/base.txt requirements/base.txt
RUN /opt/solesource/bin/python -m pip install --require-hashes -r requirements/base.txt
# The image connects to PostgreSQL with pg8000; what builds the wheel stays in an environment that is thrown away.
COPY requirements/build.txt requirements/build.txt
RUN python -m venv /opt/build && /opt/build/bin/python -m pip install --require-hashes -r requirements/build.txt
COPY pyproject.toml README.md LICENSE ./
COPY requirements/tryton.txt requirements/tryton.txt
COPY broker broker
COPY connectors connectors
COPY ownership ownership
COPY schemas schemas
RUN /opt/build/bin/python -m pip wheel --no-deps --no-build-isolation --wheel-dir /dist . \
    && /opt/solesource/bin/python -m pip install --no-deps --no-index /dist/*.whl

FROM python:3.13-slim
LABEL org.opencontainers.image.title="SoleSource" org.opencontainers.image.licenses="Apache-2.0"
RUN useradd --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin solesource \
    && install -d -o solesource -g solesource -m 0700 /var/lib/solesource
COPY --from=build /opt/solesource /opt/solesource
ENV PATH=/opt/solesource/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 SOLESOURCE_HOME=/var/lib/solesource
USER 10001:10001
WORKDIR /var/lib/solesource
ENTRYPOINT ["solesource"]
CMD ["--help"]
