"""The domain: no network, no threads, no clock. Importable alone as a verifier with few dependencies."""

__version__ = "0.1.0"
