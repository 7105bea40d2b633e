"""The notifier: a consumer of `tocsin.notifications` that sends each message through a channel."""
