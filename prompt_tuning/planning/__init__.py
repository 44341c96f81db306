"""What a run would need on accelerators that are not here: the real compiler's programs, read."""
