"""A single-node EVM chain under our own supervision."""
