# What a serving pod runs.
ARG SCIENCE

FROM ${SCIENCE} AS build
USER 0:0
COPY wheels /wheels
COPY pip.whl slim.py /
RUN python /pip.whl/pip install --no-index --no-deps --no-compile --disable-pip-version-check --root-user-action=ignore --target /opt/more /wheels/*.whl \
 && python /slim.py /opt/more
RUN PYTHONPATH=/opt/more python -c "import bentoml, _bentoml_impl.server, uvicorn, uvloop, httptools, aiohttp, prometheus_client"

FROM ${SCIENCE} AS dependencies
COPY --from=build /opt/more /opt/venv/lib/python3.11/site-packages

FROM ${SCIENCE} AS code
USER 0:0
COPY tidemill /opt/tidemill/tidemill
RUN python -m compileall -q --invalidation-mode unchecked-hash /opt/tidemill

# Last and thin: the only layer that a change of our own code touches.
FROM dependencies
COPY --from=code /opt/tidemill /opt/tidemill
