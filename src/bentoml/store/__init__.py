"""What is on disk: content-addressed models and bentos."""
