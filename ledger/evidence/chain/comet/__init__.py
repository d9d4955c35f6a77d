"""What a CometBFT chain signs and hashes: headers, validator sets, commits, and ICS-23 proofs of its state.

Owns the values and their checks, one module each; `ledger.evidence.chain.cometbft` puts them together into evidence.
Trusts nothing: each module says what its answers rest on.
"""
