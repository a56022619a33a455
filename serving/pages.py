"""The page at /docs: Swagger UI from files of our own, so that it needs no other host.

Script and style are files too: the page's headers forbid both within it.
"""

from fastapi import APIRouter, FastAPI
from fastapi.responses import HTMLResponse, Response
from fastapi.staticfiles import StaticFiles

_FILES = "/docs/files"
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>tomodistill</title>
<link rel="icon" href="docs/files/favicon.png">
<link rel="stylesheet" href="docs/files/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="docs/files/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
"""
# Without `validatorUrl` the page would send the description to a public service.
_START = """SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  validatorUrl: null,
});
"""

_router = APIRouter(include_in_schema=False)


def add_pages(app: FastAPI) -> None:
    """Add the page and the files it names, those that fastapi-offline ships."""
    app.include_router(_router)
    app.mount(_FILES, StaticFiles(packages=[("fastapi_offline", "static")]))


@_router.get("/docs")
def page() -> HTMLResponse:
    """Every route, to read and to try."""
    return HTMLResponse(_PAGE)


@_router.get("/docs/start.js")
def start() -> Response:
    """Opens Swagger UI on the description of this service."""
    return Response(_START, media_type="text/javascript")
