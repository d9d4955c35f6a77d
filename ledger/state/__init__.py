"""The state: records, the pure transition function, and the views that it reads through (DESIGN sections 4 and 5)."""
