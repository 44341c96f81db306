"""The frozen model: T5's configuration, layers, network, decoding and losses."""
