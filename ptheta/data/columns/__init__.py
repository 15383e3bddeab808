"""Which columns are the event and the context."""
