# The proxy in an image, run by a user without rights: docker build -t kordon .
# Not built by the tests: they check that what it names exists (tests/deploy.rs).
FROM rust:1.95.0-slim-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates gcc libc6-dev && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY Cargo.toml Cargo.lock README.md ./
COPY benches ./benches
COPY config ./config
COPY docs ./docs
COPY src ./src
COPY tests ./tests
RUN cargo build --locked --profile dist --bin kordon

FROM debian:12.11-slim
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin kordon
COPY --from=build /src/target/dist/kordon /usr/local/bin/kordon
# What `ca: system` trusts: mount another file over it, or name one in SSL_CERT_FILE.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
USER 10001:10001
WORKDIR /etc/kordon
# Ready = the cluster is reached, the audit topic takes events. bash opens the socket: the image has no HTTP client.
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s --retries=3 \
  CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/9464 && printf 'GET /readyz HTTP/1.0\\r\\n\\r\\n' >&3 && read -r status <&3 && [[ $status == *' 200 '* ]]"]
ENTRYPOINT ["/usr/local/bin/kordon"]
CMD ["run", "--config", "/etc/kordon/kordon.yaml"]
