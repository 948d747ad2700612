# What training and serving share: NumPy, SciPy, scikit-learn, Arrow, ONNX Runtime, the object store client.
# Both images start from this one, so that a node holds this layer once.
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS build
COPY wheels /wheels
COPY pip.whl slim.py /
RUN python3 -m venv --without-pip /opt/venv \
 && /opt/venv/bin/python /pip.whl/pip install --no-index --no-deps --no-compile --disable-pip-version-check --root-user-action=ignore /wheels/*.whl \
 && /opt/venv/bin/python /slim.py /opt/venv/lib/python3.11/site-packages \
 && echo 'tidemill:x:65532:65532:Tidemill:/tmp:/usr/sbin/nologin' >> /etc/passwd \
 && echo 'tidemill:x:65532:' >> /etc/group
RUN /opt/venv/bin/python -c "import numpy, scipy.stats, scipy.optimize, sklearn.datasets, sklearn.ensemble, sklearn.linear_model, sklearn.pipeline, pyarrow.parquet, pyarrow.csv, pyarrow.dataset, pyarrow.compute, obstore.store, skops.io, onnxruntime, orjson, pydantic, yaml, typer"

FROM ${BASE}
COPY --from=build /etc/passwd /etc/group /etc/
COPY --from=build /opt/venv /opt/venv
# The root file system may be read-only: /tmp is then an emptyDir, and the only place to write.
ENV PATH=/opt/venv/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONPATH=/opt/tidemill \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp \
    TMPDIR=/tmp \
    DO_NOT_TRACK=1 \
    BENTOML_DO_NOT_TRACK=True
WORKDIR /tmp
USER 65532:65532
ENTRYPOINT ["python", "-m", "tidemill"]
