"""Chains that hold anchors, behind one small protocol."""
