"""Auditing a log from its entries alone: all of it replayed, or a random sample checked (DESIGN sections 1, 8)."""
