"""The layers of a bento: what lies where."""
