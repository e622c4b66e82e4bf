"""A stand-in for the one name of `torch` that the document uses."""

float16 = "float16"
