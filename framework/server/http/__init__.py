"""A hardened subclass of uvicorn's HTTP/1.1 protocol: limits and deadlines on everything a client sends."""
