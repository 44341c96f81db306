"""What a model does with examples: predictions, metrics on them, held-out loss."""
