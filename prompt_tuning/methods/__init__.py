"""Ways to adapt the frozen model, one file each."""
