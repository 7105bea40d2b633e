"""What commands print with: tables, progress, texts of events."""
