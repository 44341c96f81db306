"""Public benchmarks in T5's text format, from rows as plain Python: no TensorFlow needed."""
