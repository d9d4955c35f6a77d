"""The witness: cosigns checkpoints of other logs that it has checked (C2SP tlog-witness, DESIGN section 6)."""
