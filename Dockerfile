# One image for the master, the workers and the motel-locust command.
FROM python:3.11.14-slim-bookworm AS build

WORKDIR /src
RUN python -m venv /opt/motel-locust
COPY pyproject.toml README.md LICENSE requirements.lock ./
COPY motel_locust motel_locust
RUN /opt/motel-locust/bin/pip install --no-cache-dir --disable-pip-version-check \
    --constraint requirements.lock .

FROM python:3.11.14-slim-bookworm

# By number, so that Kubernetes can see that it is not root.
RUN useradd --uid 10001 --create-home --home-dir /work locust
COPY --from=build /opt/motel-locust /opt/motel-locust
COPY locustfiles /opt/motel-locust/locustfiles
COPY topologies /opt/motel-locust/topologies

ENV PATH=/opt/motel-locust/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    LOCUST_LOCUSTFILE=/opt/motel-locust/locustfiles/topology.py \
    LOCUST_TOPOLOGY=/opt/motel-locust/topologies/shop.yaml

USER 10001
WORKDIR /work
EXPOSE 8089 5557
CMD ["locust"]
