"""Training: the optimizer, the step, the mesh, and the loop around them."""
