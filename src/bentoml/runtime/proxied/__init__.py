"""A service that is another program: start it, end it, pass requests on to it."""
