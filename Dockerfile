FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --profile dist --locked && cp target/dist/tollgate /tollgate

FROM debian:bookworm-slim
# TLS and SCRAM to Kafka are OpenSSL's; the build image has its headers.
RUN apt-get update && apt-get install -y --no-install-recommends libssl3 && rm -rf /var/lib/apt/lists/*
RUN useradd --system --home-dir /data --create-home tollgate
# The master key that a fleet shares lies in a volume of its own.
RUN install -d -o tollgate -g tollgate -m 0700 /secrets
COPY --from=build /tollgate /usr/local/bin/tollgate
USER tollgate
VOLUME /data
ENTRYPOINT ["tollgate"]
CMD ["serve", "--data-dir", "/data"]
