# The service in a container.
#
#   docker build -t text2img .                   # with CUDA; generates on the CPU where there is no GPU
#   docker build -t text2img --target cpu .      # without the 2 GB of CUDA libraries
#
# docs/containers.md says how to run it, docs/decisions/containers.md why it is built like this.

# Node with npm, to build with; its node binary is what runs in the end.
ARG NODE_IMAGE=node:24.21.0-bookworm-slim
# What the service runs on.
ARG BASE_IMAGE=debian:bookworm-slim

FROM ${NODE_IMAGE} AS build
# A certificate of a proxy that everything goes through here, if there is one.
ARG NODE_EXTRA_CA_CERTS
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# Node itself is in the image, so the lock file's copies of it stay out; so do the runtimes of other systems. koffi, which calls OpenVINO, is optional too.
RUN npm ci --omit=dev --no-audit --no-fund \
  && rm -rf node_modules/node-linux-* node_modules/node-win-* node_modules/.bin/node node_modules/onnxruntime-node/bin/napi-v6/darwin node_modules/onnxruntime-node/bin/napi-v6/win32 \
  && mv node_modules /production_modules
RUN npm ci --include=dev --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY src src
RUN npm run build

# What CUDA needs beside the driver, every file by its checksum; in a stage of its own, so that it is fetched once.
FROM build AS cuda-libraries
ARG NODE_EXTRA_CA_CERTS
COPY bin bin
RUN XDG_DATA_HOME=/cuda node bin/text2img.js setup cuda

# The second runtime for the CPU, 93 MB, every file by its checksum.
FROM build AS openvino-libraries
ARG NODE_EXTRA_CA_CERTS
COPY bin bin
RUN XDG_DATA_HOME=/openvino node bin/text2img.js setup openvino

FROM ${BASE_IMAGE} AS cpu
RUN apt-get update \
  && apt-get install --yes --no-install-recommends ca-certificates libstdc++6 tini \
  && rm -rf /var/lib/apt/lists/*
COPY --from=build /usr/local/bin/node /usr/local/bin/node
WORKDIR /app
COPY --from=build /production_modules node_modules
COPY --from=build /app/dist dist
COPY package.json LICENSE ./
COPY bin bin
COPY models models
COPY examples examples
COPY --from=openvino-libraries /openvino/text2img /usr/local/share/text2img
# For `docker exec`: the command as all pages and sentences write it.
RUN ln -s /app/bin/text2img.js /usr/local/bin/text2img
# Any user may run it: what is written goes to volumes and to /tmp, which everybody may write.
RUN mkdir -p /var/cache/huggingface /var/cache/text2img /data && chmod 1777 /var/cache/huggingface /var/cache/text2img /data
ENV TEXT2IMG_CONTAINER=1 \
  TEXT2IMG_DATA_DIR=/data \
  TEXT2IMG_HEARTBEAT_FILE=/tmp/text2img-heartbeat \
  HF_HOME=/var/cache/huggingface \
  XDG_CACHE_HOME=/var/cache \
  XDG_DATA_HOME=/usr/local/share \
  HOME=/tmp
# The server's, of `serve`; workers open none.
EXPOSE 7860
VOLUME ["/var/cache/huggingface", "/var/cache/text2img", "/data"]
USER 10001:10001
ENTRYPOINT ["/usr/bin/tini", "--", "/usr/local/bin/node", "/app/bin/text2img.js"]
HEALTHCHECK --interval=30s --timeout=10s --start-period=2m --retries=3 CMD ["/usr/local/bin/node", "/app/bin/text2img.js", "health"]

FROM cpu AS cuda
COPY --from=cuda-libraries /cuda/text2img /usr/local/share/text2img
# What NVIDIA's container runtime looks for.
ENV NVIDIA_VISIBLE_DEVICES=all \
  NVIDIA_DRIVER_CAPABILITIES=compute,utility
