"""gunicorn's own lines in the stream and shape of all others."""

from __future__ import annotations

import logging

from gunicorn.config import Config
from gunicorn.glogging import Logger

__all__ = ["GunicornLogger"]


class GunicornLogger(Logger):  # type: ignore[misc] # gunicorn has no type information
    """A gunicorn logger without handlers: the root logger writes its lines.

    gunicorn's settings of files, formats and syslog have no effect. Access lines are written by
    the application, which knows the route and the request id.
    """

    def setup(self, cfg: Config) -> None:
        """Let records rise to the root logger; called at start and at each reload."""
        self.cfg = cfg
        self._access_log_enabled = False
        self.loglevel = self.LOG_LEVELS.get(cfg.loglevel.lower(), logging.INFO)
        for logger in (self.error_log, self.access_log):
            logger.handlers = []
            logger.propagate = True
            logger.setLevel(self.loglevel)
