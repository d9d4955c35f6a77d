"""Durable stores of one node: journal, tiles, index, documents, signed-checkpoint lock (DESIGN sections 6, 9)."""
