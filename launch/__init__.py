"""Who runs with whom: launch files, the supervisor, and the chorus command."""
