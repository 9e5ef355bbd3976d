"""GH Archive: every public event on GitHub since 2011, an hour a file; read here for its issues and their comments."""
