# CPU: docker build -t tomodistill .
# GPU: docker build -t tomodistill --build-arg TENSORFLOW='tensorflow[and-cuda]' .
FROM python:3.11-slim
ARG TENSORFLOW=tensorflow
WORKDIR /app

COPY pyproject.toml requirements.lock ./
RUN python -c "import tomllib; project = tomllib.load(open('pyproject.toml', 'rb'))['project']; \
        print(*project['dependencies'], sep='\n')" > /tmp/needed \
    && pip install --no-cache-dir --constraint requirements.lock --requirement /tmp/needed "$TENSORFLOW" \
    && rm /tmp/needed \
    && useradd --uid 1000 --create-home tomodistill \
    && install --directory --owner tomodistill /cache /mlflow

COPY src src
COPY entrypoints entrypoints
COPY serving serving
ENV PYTHONPATH=/app/src:/app TOMODISTILL_DATA=/cache MLFLOW_DISABLE_TELEMETRY=true DO_NOT_TRACK=true

USER tomodistill
VOLUME /cache
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=120s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/health/live', timeout=4)"]
# What follows the image's name on the command line is added, and wins: --engine keras.
ENTRYPOINT ["python", "-m", "entrypoints", "serve", "--host", "0.0.0.0", "--port", "8000", "--log", "json", "--drain_seconds", "5"]
