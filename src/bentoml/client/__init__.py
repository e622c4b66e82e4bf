"""How others call a service: one plan without I/O, shared by the clients."""
