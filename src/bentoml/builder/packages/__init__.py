"""What is installed: requirements from wherever they are written, pinned in one lock, code of them as wheels."""
