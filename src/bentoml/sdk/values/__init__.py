"""The types of inputs and answers: from the wire and back, and as a schema."""
