"""Signature suites, digests, key files and canonical JSON."""
