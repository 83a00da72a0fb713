"""Run an application in several processes: gunicorn worker, hooks and logger."""
