"""Credential documents and what the log says of them."""
