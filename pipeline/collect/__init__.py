"""Everything that brings issues and labels in: readers of archives, tables and sheets, and the download of published data."""
