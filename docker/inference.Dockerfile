# The inference worker. Built from the repository's root:
#   docker build -f docker/inference.Dockerfile .

FROM python:3.11-slim AS packages
# PyTorch's build for the CPU is 5 GB smaller. Empty: the build for CUDA, from PyPI.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
WORKDIR /build
COPY requirements.lock docker/inference-requirements.txt ./
RUN python -m venv /opt/venv \
 && PIP_EXTRA_INDEX_URL="$TORCH_INDEX" \
    /opt/venv/bin/pip install --no-cache-dir -c requirements.lock -r inference-requirements.txt

FROM python:3.11-slim
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin reread
ENV PATH=/opt/venv/bin:$PATH \
    HOME=/tmp \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1
WORKDIR /app
COPY --from=packages /opt/venv /opt/venv
COPY broker ./broker
COPY inference ./inference
# What models and readers are measured by alike; nothing of the site itself.
COPY reader_study/__init__.py ./reader_study/__init__.py
COPY reader_study/statistics ./reader_study/statistics
USER 10001
# Workers take no commands over the broker, so this asks what a worker lives on: its broker.
HEALTHCHECK --interval=60s --timeout=20s --start-period=60s \
  CMD ["python", "-c", "from inference.tasks import app; app.connection().ensure_connection(max_retries=1)"]
CMD ["celery", "-A", "inference.tasks", "worker", "-Q", "inference", \
     "--without-gossip", "--without-mingle", "--loglevel", "INFO"]
