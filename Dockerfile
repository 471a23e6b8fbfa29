# Builds the executable and puts it alone into an image that has a C library and no shell. See docs/docker.md.
FROM --platform=$BUILDPLATFORM node:22-bookworm-slim AS build
# Of the image that is made. Builders without BuildKit leave it empty: then it is that of this machine.
ARG TARGETARCH
WORKDIR /src
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund && node node_modules/bun/install.js
COPY . .
RUN case "${TARGETARCH:-$(uname -m)}" in \
      amd64 | x86_64) target=linux-x64 ;; \
      arm64 | aarch64) target=linux-arm64 ;; \
      *) echo "there is no executable for ${TARGETARCH:-$(uname -m)}" >&2; exit 1 ;; \
    esac && \
    node_modules/bun/bin/bun.exe scripts/release.ts --target "$target" --out /made && \
    mkdir -p /image/usr/local/bin && mv /made/hatchway-*-"$target" /image/usr/local/bin/hatchway && \
    install -d -m 0700 -o 65532 -g 65532 /image/data

FROM gcr.io/distroless/base-nossl-debian12:nonroot
COPY --from=build /image/usr /usr
COPY --from=build --chown=65532:65532 /image/data /data
# The second tells `hatchway upgrade` how it was installed.
ENV HATCHWAY_DATA=/data HATCHWAY_IMAGE=1
USER 65532:65532
VOLUME /data
# Agents, STUN, and the console. The public ports are yours to publish.
EXPOSE 7744/tcp 7744/udp 7745/udp 7780/tcp
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s CMD ["/usr/local/bin/hatchway", "status"]
ENTRYPOINT ["/usr/local/bin/hatchway"]
CMD ["serve"]
