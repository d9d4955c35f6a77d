"""The HTTP API: one module a concern, put together in `app`, run by `server`."""
