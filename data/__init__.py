"""Event data: the generator of realistic shops."""
