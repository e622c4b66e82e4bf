"""How a service is to be run: sections, their checks, where they come from."""
