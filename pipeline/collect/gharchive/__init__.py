"""GH Archive: every public event on GitHub since 2011, an hour a file; read here for its issues and their comments."""

import os

# Arrow reads it when it is first imported: its own allocator keeps much of what was given back to it.
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
