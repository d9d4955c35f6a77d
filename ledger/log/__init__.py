"""The log: tree hashing, proofs, tiles, signed notes and checkpoints. Pure: bytes in, values out."""
