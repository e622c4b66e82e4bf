"""Who may ask, from where, how much at once and for how long."""
