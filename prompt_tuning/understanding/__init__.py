"""What learned prompts are like, and are alike (paper, section 7; SPoT, 2110.07904)."""
