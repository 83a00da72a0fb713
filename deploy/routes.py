"""Print the layers and the routes of the service: `make routes`."""

from __future__ import annotations

import sys

from app.main import app
from framework.routing.listing import render_application

if __name__ == "__main__":
    sys.stdout.write(render_application(app))
