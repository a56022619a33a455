"""The FastAPI application: HTTP to arrays and back; what the model does lies in `inference`."""
