"""What tests share. No test module imports from another test module."""
