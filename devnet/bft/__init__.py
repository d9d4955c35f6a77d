"""A permissioned BFT chain of several validators on this machine: its program, its folder, its supervisor."""
