"""What a running service tells about itself: logs, metrics, request context, readiness.

Plain ASGI and plain processes; nothing in here knows the router or the server. The name of each
module is its subject: `logging`, `context`, `metrics`, `middleware`, `health`, `exporter`, `process`.
"""
