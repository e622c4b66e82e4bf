"""Where an image can go: one sink a file."""
