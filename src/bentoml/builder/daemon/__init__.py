"""The container engine of this machine, or of another one, as far as images need it."""
