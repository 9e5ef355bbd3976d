"""The database: its tables, its sessions, what is written to it, and the frames that analysis reads from it."""
