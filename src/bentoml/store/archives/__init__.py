"""Archives: items as one file or folder that travels, written and read."""
