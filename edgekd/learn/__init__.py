"""Everything that learns. The only wing that imports torch; its tables and settings do not."""
