"""The policy file and what belongs to it: rules, times, mappings, test scenarios."""
