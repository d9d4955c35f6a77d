"""Anchoring: one log's published checkpoints go to one contract, and what the chain says of them is kept.

`worker` is the thread and what others ask of it; `anchoring` one look at the chain and at most one act; `judge` whether
the chain contradicts the log; `sending` the transaction under way; `outbox` what is kept on disk, `records` how it is
made; `evidence` the proofs beside the anchors; `status` how all of that stands.
"""
