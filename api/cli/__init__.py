"""The command line `tial`: one module for each group of commands, `context` for what they share."""
