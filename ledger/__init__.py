"""The domain: no network, no threads, no clock. Importable alone as a verifier with few dependencies."""
