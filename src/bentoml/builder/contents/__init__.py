"""What goes into a bento: files of the project, models, and the runtime that serves them."""
