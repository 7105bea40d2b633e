"""The page: what somebody on call looks at, as HTML that works without a script."""
