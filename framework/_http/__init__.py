"""The rules of HTTP as pure functions: no `await`, no ASGI channel, no state."""
