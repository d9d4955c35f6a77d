"""Verification: the numbered steps, their report, and the state as of an earlier entry (DESIGN section 8)."""
