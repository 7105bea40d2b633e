"""The process: it owns partitions, sends what the ledger says, and writes down what came of it."""
