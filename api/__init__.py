"""Every surface that people and programs touch: HTTP, command line, Python client. Imports node and ledger."""
