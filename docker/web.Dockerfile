# The site and its worker. Built from the repository's root:
#   docker build -f docker/web.Dockerfile .

FROM node:24-slim AS frontend
WORKDIR /build
COPY frontend/package.json frontend/package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY frontend ./
RUN npm run build

FROM python:3.11-slim AS packages
WORKDIR /build
COPY requirements.lock docker/web-requirements.txt ./
RUN python -m venv /opt/venv \
 && /opt/venv/bin/pip install --no-cache-dir -c requirements.lock -r web-requirements.txt

FROM python:3.11-slim
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin reread \
 && install -d -o reread -g reread /data /data/static /data/frames
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    VAR_DIR=/data
WORKDIR /app
COPY --from=packages /opt/venv /opt/venv
COPY manage.py ./
COPY broker ./broker
COPY phantom ./phantom
COPY reader_study ./reader_study
COPY docker/nginx.conf ./docker/nginx.conf
COPY --from=frontend /build/dist ./frontend/dist
USER 10001
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s \
  CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://localhost:8000/health/live', timeout=4)"]
CMD ["gunicorn", "reader_study.wsgi", "--config", "python:reader_study.server"]
