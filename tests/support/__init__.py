"""What tests share: servers, samples, helpers."""
