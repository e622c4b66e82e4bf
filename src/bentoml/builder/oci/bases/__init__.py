"""What an image is built upon, from wherever it is."""
