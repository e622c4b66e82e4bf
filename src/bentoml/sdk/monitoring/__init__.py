"""What models are given and answer, kept for later."""
