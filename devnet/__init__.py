"""Development chains that run on one machine."""
