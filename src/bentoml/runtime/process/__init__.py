"""The processes of a server: one that supervises, workers that answer, and what they say to each other."""
