# What the operator's own pod runs: no scikit-learn, no Arrow, no BentoML.
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS build
COPY wheels /wheels
COPY pip.whl slim.py /
RUN python3 -m venv --without-pip /opt/venv \
 && /opt/venv/bin/python /pip.whl/pip install --no-index --no-deps --no-compile --disable-pip-version-check --root-user-action=ignore /wheels/*.whl \
 && /opt/venv/bin/python /slim.py /opt/venv/lib/python3.11/site-packages \
 && echo 'tidemill:x:65532:65532:Tidemill:/tmp:/usr/sbin/nologin' >> /etc/passwd \
 && echo 'tidemill:x:65532:' >> /etc/group
RUN /opt/venv/bin/python -c "import kopf, kubernetes.client, pydantic, prometheus_client, aiohttp, orjson, croniter, uvloop, yaml, typer"

FROM ${BASE} AS dependencies
COPY --from=build /etc/passwd /etc/group /etc/
COPY --from=build /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONPATH=/opt/tidemill \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp \
    TMPDIR=/tmp \
    DO_NOT_TRACK=1
WORKDIR /tmp
USER 65532:65532
ENTRYPOINT ["python", "-m", "tidemill"]

FROM ${BASE} AS code
COPY tidemill /opt/tidemill/tidemill
RUN python3 -m compileall -q --invalidation-mode unchecked-hash /opt/tidemill

# Last and thin: the only layer that a change of our own code touches.
FROM dependencies
COPY --from=code /opt/tidemill /opt/tidemill
