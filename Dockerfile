# The embedded Vision server in a container: gRPC on 8085, REST on 8086, the buckets photos and out below /buckets.
#
#   docker build -t vision-emulator .
#   docker run --rm -p 127.0.0.1:8085:8085 -p 127.0.0.1:8086:8086 \
#       -v "$PWD/photos:/buckets/photos:ro" -v "$PWD/out:/buckets/out" --user "$(id -u):$(id -g)" vision-emulator
#
# Other buckets: name them all after the image, --bucket NAME=DIRECTORY each. The server checks no credentials: publish its
# ports on loopback only, as above.
FROM python:3.13-slim AS build
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY vision_grpc ./vision_grpc
RUN python -m venv /venv && /venv/bin/pip install --no-cache-dir ".[local]"

FROM python:3.13-slim
COPY --from=build /venv /venv
RUN useradd --no-create-home --shell /usr/sbin/nologin vision && install -d -o vision -g vision /buckets/photos /buckets/out
USER vision
ENV PYTHONUNBUFFERED=1
EXPOSE 8085 8086
HEALTHCHECK --interval=10s --start-period=10s \
    CMD ["/venv/bin/python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8086/', timeout=5)"]
ENTRYPOINT ["/venv/bin/python", "-m", "vision_grpc.emulator", "--host", "0.0.0.0", "--port", "8085", "--rest-port", "8086"]
CMD ["--bucket", "photos=/buckets/photos", "--bucket", "out=/buckets/out"]
