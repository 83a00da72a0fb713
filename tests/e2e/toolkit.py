"""A site on the whole toolkit, for a real browser: pages, cookies, a single-page application."""

from __future__ import annotations

from pathlib import Path

from framework.applications import App
from framework.middleware import Middleware
from framework.middleware.cross_origin import CrossOriginProtection
from framework.middleware.security_headers import SecurityHeadersMiddleware
from framework.middleware.sessions import SessionMiddleware
from framework.requests import Request
from framework.responses import HTMLResponse, JSONResponse, Response
from framework.routing import Mount, Route
from framework.staticfiles import StaticFiles
from framework.templating import Jinja2Templates

PAGE = """<!doctype html><title>page</title><link rel="icon" href="data:,">
<script nonce="{{ csp_nonce }}">window.allowed = true</script>
<script>window.inline = true</script>
<script nonce="guessed">window.guessed = true</script>
<button onclick="window.handler = true">press</button>
<p>{{ name }}</p>"""

INDEX = """<!doctype html><title>spa</title><link rel="icon" href="data:,">
<script src="/spa/app.3f2a91bc.js"></script>"""
SCRIPT = "document.title = 'spa at ' + location.pathname"


def build_site(folder: Path) -> App:
    """Write the files of the site into `folder` and return its application."""
    (folder / "templates").mkdir()
    (folder / "templates" / "page.html").write_text(PAGE)
    (folder / "spa").mkdir()
    (folder / "spa" / "index.html").write_text(INDEX)
    (folder / "spa" / "app.3f2a91bc.js").write_text(SCRIPT)
    (folder / "spa" / ".env").write_text("SECRET=1")
    templates = Jinja2Templates(directory=folder / "templates")

    async def show(request: Request) -> Response:
        return templates.TemplateResponse(request, "page.html", {"name": "<b>Ada</b>"})

    async def visit(request: Request) -> JSONResponse:
        request.session["visits"] = request.session.get("visits", 0) + 1
        return JSONResponse(request.session["visits"])

    async def change(request: Request) -> JSONResponse:
        return JSONResponse("changed")

    async def embed(request: Request) -> HTMLResponse:
        page = '<!doctype html><link rel="icon" href="data:,"><iframe src="/page"></iframe>'
        return HTMLResponse(page, headers={"Content-Security-Policy": "frame-src *"})

    policy = "default-src 'self'; script-src 'self' 'nonce-{nonce}'; img-src data:; frame-ancestors 'none'"
    return App(
        routes=[
            Route("/page", show),
            Route("/visit", visit),
            Route("/embed", embed),
            Route("/change", change, methods=["POST"]),
            Mount(
                "/spa",
                StaticFiles(directory=folder / "spa", spa=True, cache_control="public, max-age=60"),
            ),
        ],
        middleware=[
            Middleware(SecurityHeadersMiddleware, content_security_policy=policy),
            Middleware(CrossOriginProtection),
            Middleware(
                SessionMiddleware, secret_key="a key of the test, long enough", https_only=True
            ),
        ],
    )
