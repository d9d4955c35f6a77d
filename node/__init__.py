"""The process: sequencer, publisher, anchor worker, chain backends, configuration. Imports ledger only."""
