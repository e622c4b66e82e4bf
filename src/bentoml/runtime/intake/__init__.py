"""What comes with a request: its body, its fields, its files, what it names elsewhere."""
