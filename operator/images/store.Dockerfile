# The embedded object store: Versity's S3 gateway over a folder, one static program and nothing else.
FROM scratch
COPY versitygw /versitygw
USER 65532:65532
ENTRYPOINT ["/versitygw"]
