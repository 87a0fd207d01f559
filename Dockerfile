# The bases are arguments: a build without a registry passes what it has (RUNTIME_BASE=scratch).
ARG BUILD_BASE=docker.io/library/rust:1.95-bookworm
ARG RUNTIME_BASE=gcr.io/distroless/static-debian12:nonroot

FROM ${BUILD_BASE} AS build
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY src src
# A static glibc binary runs in any image, also in a vendor's.
RUN RUSTFLAGS="-C target-feature=+crt-static" \
    cargo build --release --locked --target x86_64-unknown-linux-gnu \
    && cp target/x86_64-unknown-linux-gnu/release/lifeboat /lifeboat

# From a binary that was built before, in the build context.
FROM ${RUNTIME_BASE} AS runtime-prebuilt
ARG BINARY=lifeboat
COPY ${BINARY} /usr/local/bin/lifeboat
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/lifeboat"]

FROM ${RUNTIME_BASE} AS runtime
COPY --from=build /lifeboat /usr/local/bin/lifeboat
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/lifeboat"]
