"""Alerts in whatever shape they were sent, to the records that the journal keeps of them."""
