"""What may be read: incidents, timelines, reports, availability, in pages."""
